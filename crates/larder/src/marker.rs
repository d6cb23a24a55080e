//! The file that says that a directory is a root of Larder.

use std::{fs, io, path::Path};

use larder_storage::{
    Durability, Error, ErrorKind, RESERVED_SEGMENT, Result,
    publish::{Stage, create_dirs},
};
use serde::Deserialize;

/// The version of the layout of a root.
pub const FORMAT_VERSION: u32 = 1;

/// The name of the file in a root that says so.
pub const MARKER: &str = "larder.json";

#[derive(Debug, Deserialize)]
struct Marker {
    format: String,
    version: u32,
}

/// Whether `root` is a root of Larder of this version; false where there is nothing yet.
pub(crate) fn check(root: &Path) -> Result<bool> {
    let path = root.join(MARKER);
    match fs::read(&path) {
        Ok(bytes) => parse(&bytes).map_err(|error| error.at_path(&path)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match check_vacant(root) {
            // Another process may have made the root since.
            Err(_) if path.exists() => check(root),
            vacant => vacant.map(|()| false),
        },
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Error::new(ErrorKind::Invalid, "is a file: name a directory").at_path(root))
        }
        Err(error) => Err(Error::io(error, "cannot read the marker of the root").at_path(&path)),
    }
}

/// Makes `root` a root of Larder.
pub(crate) fn create(root: &Path, durability: Durability) -> Result<()> {
    create_dirs(root, durability)?;
    let text = format!("{{\"format\": \"larder\", \"version\": {FORMAT_VERSION}}}\n");
    Stage::new(root, durability).write(&root.join(MARKER), text.as_bytes())
}

fn parse(bytes: &[u8]) -> Result<()> {
    let foreign = || {
        Error::new(ErrorKind::Format, "is not the marker of a Larder root: name another directory")
    };
    let marker: Marker =
        serde_json::from_slice(bytes).map_err(|error| foreign().with_source(error))?;
    if marker.format != "larder" {
        return Err(foreign());
    }
    if marker.version != FORMAT_VERSION {
        let message = format!(
            "has layout {} and this Larder knows {FORMAT_VERSION}: upgrade Larder",
            marker.version
        );
        return Err(Error::new(ErrorKind::Format, message));
    }
    Ok(())
}

/// A directory that holds anything else is not ours to fill.
fn check_vacant(root: &Path) -> Result<()> {
    let failed = |error| Error::io(error, "cannot look into the directory").at_path(root);
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        // What a kill before the marker was published leaves.
        if entry.map_err(failed)?.file_name() != RESERVED_SEGMENT {
            let message = "is not empty and not a Larder root: name an empty or a new directory";
            return Err(Error::new(ErrorKind::Invalid, message).at_path(root));
        }
    }
    Ok(())
}
