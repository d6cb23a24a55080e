//! Reading FASTA, plain or gzip.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use larder::storage::{Error, ErrorKind, Result};
use noodles_fasta as noodles;

use super::{Genome, Record, base};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Longer names are cut in error messages, which are one line.
const SHOWN_NAME: usize = 60;

/// Reads a FASTA file, plain or gzip, which the first bytes tell apart.
///
/// The genome is named after the file, without its extensions. Lower case becomes upper case; white
/// space, CRLF and a missing end of the last line do not matter. The whole file is held in memory.
///
/// # Errors
/// `NotFound` without the file; `Io` if it cannot be read; `Corrupt` if gzip data is damaged or
/// truncated; `Invalid` if the content is not nucleotide FASTA, as in [`parse`].
pub(crate) fn read(path: &Path) -> Result<Genome> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
    parse(&genome_name(path), &bytes).map_err(|error| error.at_path(path))
}

/// Reads FASTA, plain or gzip, from memory.
///
/// # Errors
/// `Corrupt` if gzip data is damaged or truncated. `Invalid` if there is nothing, if the text does
/// not start with `>`, and if a record has no name, the name of an earlier record, no sequence or a
/// letter that is no IUPAC nucleotide code.
pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<Genome> {
    if bytes.starts_with(GZIP_MAGIC) {
        return parse_text(name, &gunzip(bytes)?);
    }
    parse_text(name, bytes)
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, "no such file: give the path of a FASTA file")
                .with_source(error)
                .at_path(path)
        }
        io::ErrorKind::IsADirectory => {
            Error::new(ErrorKind::Invalid, "is a directory: give the path of a FASTA file")
                .with_source(error)
                .at_path(path)
        }
        io::ErrorKind::PermissionDenied => {
            Error::io(error, "no permission to read this file: change its mode or its owner")
                .at_path(path)
        }
        _ => Error::io(error, "the file cannot be read").at_path(path),
    }
}

/// The name of a file without `.gz` and without the extension before it.
fn genome_name(path: &Path) -> String {
    let is_gzip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    let plain = if is_gzip { path.with_extension("") } else { path.to_path_buf() };
    plain.file_stem().unwrap_or(OsStr::new("genome")).to_string_lossy().into_owned()
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut text).map_err(|error| {
        let message = "the gzip data is truncated or damaged: fetch or compress the file again";
        Error::new(ErrorKind::Corrupt, message).with_source(error)
    })?;
    Ok(text)
}

fn parse_text(name: &str, text: &[u8]) -> Result<Genome> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii_start();
    check_start(text)?;
    let mut reader = noodles::io::Reader::new(text);
    let mut records = Vec::new();
    let mut names = HashSet::new();
    while !reader.get_ref().is_empty() {
        let record = read_record(&mut reader, records.len() + 1)?;
        check_line_start(text, reader.get_ref(), &record.name)?;
        if !names.insert(record.name.clone()) {
            return Err(in_record(&record.name, "appears twice: give each record its own name"));
        }
        records.push(record);
    }
    Ok(Genome { name: name.to_owned(), records })
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
        return Err(invalid("is not text: give a FASTA file, plain or compressed with gzip"));
    }
    Err(invalid(format!(
        "is not FASTA: it starts with '{}' instead of '>' and the name of a record",
        char::from(first)
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

fn read_record(reader: &mut noodles::io::Reader<&[u8]>, ordinal: usize) -> Result<Record> {
    let mut definition = noodles::record::Definition::default();
    reader.read_definition(&mut definition).map_err(|error| {
        let message = format!("record {ordinal} has no name: write one directly after its '>'");
        invalid(message).with_source(error)
    })?;
    let name = printable_name(definition.name(), ordinal)?;
    let description = definition.description().map(ToString::to_string).unwrap_or_default();

    let mut sequence = Vec::new();
    reader
        .read_sequence(&mut sequence)
        .map_err(|error| in_record(&name, "cannot be read").with_source(error))?;
    sequence.retain(|base| !base.is_ascii_whitespace());
    sequence.make_ascii_uppercase();
    check_sequence(&name, &sequence)?;
    Ok(Record { name, description, sequence })
}

/// Names become keys of stores and columns of tables, so they must be text.
fn printable_name(name: &[u8], ordinal: usize) -> Result<String> {
    match str::from_utf8(name) {
        Ok(name) if !name.contains(char::is_control) => Ok(name.to_owned()),
        _ => Err(invalid(format!(
            "the name of record {ordinal} is not printable UTF-8: is this a FASTA file?"
        ))),
    }
}

fn check_sequence(name: &str, sequence: &[u8]) -> Result<()> {
    if sequence.is_empty() {
        return Err(in_record(name, "has no sequence: remove it or add its bases"));
    }
    let Some(at) = sequence.iter().position(|&base| base::complement(base).is_none()) else {
        return Ok(());
    };
    let (byte, position) = (sequence[at], at + 1);
    let shown = if byte.is_ascii_graphic() {
        format!("'{}'", char::from(byte))
    } else {
        format!("byte 0x{byte:02x}")
    };
    let advice = "which is no IUPAC nucleotide code (A C G T U R Y S W K M B D H V N): correct it";
    Err(in_record(name, format!("has {shown} at base {position}, {advice}")))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn in_record(name: &str, message: impl AsRef<str>) -> Error {
    let mut shown: String = name.chars().take(SHOWN_NAME).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    invalid(format!("record '{shown}' {}", message.as_ref()))
}

#[cfg(test)]
mod tests;
