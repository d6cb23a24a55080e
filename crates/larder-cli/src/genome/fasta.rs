//! Reading FASTA, plain or gzip.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use larder::storage::{Error, ErrorKind, Result};

use super::{Genome, Record, base};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// Longer names are cut in messages, which are one line.
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
    let sequences = larder::provenance::Genome::read_fasta(text, name)?.sequences;
    let records = sequences.into_iter().map(nucleotides).collect::<Result<_>>()?;
    Ok(Genome { name: name.to_owned(), records })
}

fn nucleotides((name, mut sequence): (String, Vec<u8>)) -> Result<Record> {
    sequence.make_ascii_uppercase();
    if let Some(at) = sequence.iter().position(|&base| base::complement(base).is_none()) {
        let shown: String = name.chars().take(SHOWN_NAME).collect();
        let message = format!(
            "record '{shown}' has '{}' at base {}, which is no IUPAC nucleotide code (A C G T U R Y S W K M B D H V \
             N): correct it",
            char::from(sequence[at]),
            at + 1,
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(Record { name, sequence })
}

#[cfg(test)]
mod tests;
