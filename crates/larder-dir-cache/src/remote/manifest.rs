use larder_storage::{Bytes, Digest, Error, ErrorKind, Result, json};
use serde::{Deserialize, Serialize};

use super::pack::Packed;
use crate::index::Row;

/// The version of a manifest in the remote tier, and of the archive that it names.
pub const REMOTE_FORMAT_VERSION: u32 = 1;

/// What is known of a packed entry.
#[derive(Debug)]
pub(super) struct Manifest {
    /// The digest of the archive.
    pub(super) archive: Digest,
    /// The bytes of the archive.
    pub(super) length: u64,
    pub(super) files: u64,
    pub(super) listing: Digest,
    /// What the entry took on the disk of its builder, in bytes.
    pub(super) size: u64,
    pub(super) built_at_ns: i64,
    build_cost_ns: Option<u64>,
}

/// A [`Manifest`] as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    archive: String,
    length: u64,
    files: u64,
    listing: String,
    size: u64,
    built_at_ns: i64,
    build_cost_ns: Option<u64>,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Manifest {
    pub(super) fn new(packed: &Packed, row: &Row) -> Self {
        Self {
            archive: packed.digest,
            length: packed.len,
            files: row.files,
            listing: row.listing,
            size: row.size,
            built_at_ns: row.built_at_ns,
            build_cost_ns: row.build_cost_ns,
        }
    }

    pub(super) fn encode(&self) -> Result<Bytes> {
        let written = Written {
            format: REMOTE_FORMAT_VERSION,
            archive: self.archive.to_string(),
            length: self.length,
            files: self.files,
            listing: self.listing.to_string(),
            size: self.size,
            built_at_ns: self.built_at_ns,
            build_cost_ns: self.build_cost_ns,
        };
        json::encode(&written).map(Bytes::from)
    }

    /// `Corrupt` where it is no manifest, `Format` where it is of another version.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged =
            |error| Error::new(ErrorKind::Corrupt, "is no manifest of an entry").with_source(error);
        let Head { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if format != REMOTE_FORMAT_VERSION {
            let message = format!(
                "is a manifest of format {format}, this version knows {REMOTE_FORMAT_VERSION}: upgrade Larder"
            );
            return Err(Error::new(ErrorKind::Format, message));
        }
        let written: Written = serde_json::from_slice(bytes).map_err(damaged)?;
        let digest = |hex: &str| {
            hex.parse::<Digest>().map_err(|error| {
                Error::new(ErrorKind::Corrupt, "has no digest where one belongs").with_source(error)
            })
        };
        Ok(Self {
            archive: digest(&written.archive)?,
            length: written.length,
            files: written.files,
            listing: digest(&written.listing)?,
            size: written.size,
            built_at_ns: written.built_at_ns,
            build_cost_ns: written.build_cost_ns,
        })
    }
}
