//! Reading FASTA as others write it.

use std::{collections::HashSet, io::Read};

use larder_storage::{Error, Result};
use noodles_fasta::{io::Reader, record::Definition};

use super::{format::is_base, invalid};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Longer names are cut in error messages, which are one line.
const SHOWN_NAME: usize = 60;

/// The name and the bases of each record, of which there is at least one.
pub(super) fn read(mut reader: impl Read) -> Result<Vec<(String, Vec<u8>)>> {
    let mut text = Vec::new();
    let unreadable = |error| Error::io(error, "the FASTA text cannot be read");
    reader.read_to_end(&mut text).map_err(unreadable)?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text).trim_ascii_start();
    check_start(text)?;
    let mut reader = Reader::new(text);
    let (mut records, mut names) = (Vec::new(), HashSet::new());
    while !reader.get_ref().is_empty() {
        let (name, bases) = read_record(&mut reader, records.len() + 1)?;
        check_line_start(text, reader.get_ref(), &name)?;
        if !names.insert(name.clone()) {
            return Err(in_record(&name, "appears twice: give each record its own name"));
        }
        records.push((name, bases));
    }
    Ok(records)
}

fn check_start(text: &[u8]) -> Result<()> {
    let Some(&first) = text.first() else {
        return Err(invalid("is empty: a FASTA file starts with '>' and the name of a record"));
    };
    if first == b'>' {
        return Ok(());
    }
    let head = &text[..text.len().min(512)];
    if head.iter().any(|byte| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace()) {
        return Err(invalid("is not text: give FASTA, which was decompressed if need be"));
    }
    let first = char::from(first);
    Err(invalid(&format!(
        "is not FASTA: it starts with '{first}' instead of '>' and the name of a record"
    )))
}

/// noodles ends a sequence at a `>` anywhere that one of its reads begins, even inside a line.
fn check_line_start(text: &[u8], rest: &[u8], name: &str) -> Result<()> {
    let read = &text[..text.len() - rest.len()];
    if rest.is_empty() || read.ends_with(b"\n") || read.ends_with(b"\r") {
        return Ok(());
    }
    Err(in_record(name, "has '>' inside a line of its sequence: start each record on a new line"))
}

fn read_record(reader: &mut Reader<&[u8]>, ordinal: usize) -> Result<(String, Vec<u8>)> {
    let mut definition = Definition::default();
    reader.read_definition(&mut definition).map_err(|error| {
        let message = format!("record {ordinal} has no name: write one directly after its '>'");
        invalid(&message).with_source(error)
    })?;
    let name = printable_name(definition.name(), ordinal)?;
    let mut bases = Vec::new();
    let read = reader.read_sequence(&mut bases);
    read.map_err(|error| in_record(&name, "cannot be read").with_source(error))?;
    bases.retain(|base| !base.is_ascii_whitespace());
    check_bases(&name, &bases)?;
    Ok((name, bases))
}

/// Names are keys of what is derived from their sequences, so they must be text.
fn printable_name(name: &[u8], ordinal: usize) -> Result<String> {
    match str::from_utf8(name) {
        Ok(name) if !name.contains(|c: char| c.is_control() || c.is_whitespace()) => {
            Ok(name.to_owned())
        }
        _ => Err(invalid(&format!(
            "the name of record {ordinal} is not printable UTF-8: is this a FASTA file?"
        ))),
    }
}

fn check_bases(name: &str, bases: &[u8]) -> Result<()> {
    if bases.is_empty() {
        return Err(in_record(name, "has no sequence: remove it or add its bases"));
    }
    let Some(at) = bases.iter().position(|base| !is_base(*base)) else { return Ok(()) };
    let (byte, position) = (bases[at], at + 1);
    let shown = if byte.is_ascii_graphic() {
        format!("'{}'", char::from(byte))
    } else {
        format!("byte 0x{byte:02x}")
    };
    let message = format!(
        "has {shown} at base {position}, which is neither a letter nor '*' or '-': correct it"
    );
    Err(in_record(name, &message))
}

fn in_record(name: &str, message: &str) -> Error {
    let mut shown: String = name.chars().take(SHOWN_NAME).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    invalid(&format!("record '{shown}' {message}"))
}
