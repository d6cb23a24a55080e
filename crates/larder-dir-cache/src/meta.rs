//! `.cache_meta`, the file in each entry that the Python package vcti-file-cache 1.0.0 reads and writes too.
//!
//! Its time of modification is the entry's last access.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use larder_storage::{
    Error, ErrorKind, Result,
    publish::{self, Stage},
    time::{from_ns, to_ns},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{index::Row, settle::is_absent, tree::open_regular};

/// The version of the object `larder` in `.cache_meta`.
pub const META_FORMAT_VERSION: u32 = 1;

const NAME: &str = ".cache_meta";
/// No honest one comes near; a larger file is not read into memory.
const MAX_BYTES: u64 = 64 << 10;

/// Up to here every reader of JSON keeps a number exactly; no honest count or time in nanoseconds comes near.
const MAX_NUMBER: u64 = 1 << 53;

/// What the other fields of a `.cache_meta` say that Larder wrote.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ours {
    format: u32,
    pub(crate) size: u64,
    pub(crate) files: u64,
    pub(crate) built_at_ns: i64,
    pub(crate) build_cost_ns: Option<u64>,
    pub(crate) pinned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at_ns: Option<i64>,
}

/// What a `.cache_meta` tells.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) access_count: u64,
    pub(crate) last_access_ns: i64,
    pub(crate) ours: Option<Ours>,
}

/// Whether the file belongs to the metadata of an entry: the cache's own, or a temporary one of the Python package.
pub(crate) fn is_own_name(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(NAME.as_bytes())
}

/// Whether the directory is marked as an entry.
pub(crate) fn marks(dir: &Path) -> bool {
    fs::symlink_metadata(dir.join(NAME)).is_ok_and(|found| found.is_file())
}

/// Reads the `.cache_meta` of the directory; `Corrupt` where it is not what such a file has to be, `Format` where it
/// comes from a newer Larder.
pub(crate) fn read(dir: &Path) -> Result<Meta> {
    let path = dir.join(NAME);
    let damaged = || {
        let message = "is damaged: delete it to drop the entry, or write {\"size\": 0, \"access_count\": 0} into it";
        Error::new(ErrorKind::Corrupt, message).at_path(&path)
    };
    let mut object = object(&path)?.ok_or_else(damaged)?;
    let access_count = object.get("access_count").and_then(Value::as_u64);
    let access_count = access_count.filter(|count| *count <= MAX_NUMBER).ok_or_else(damaged)?;
    let ours = match object.remove("larder") {
        Some(ours) => Some(parse_ours(ours, &path)?.ok_or_else(damaged)?),
        None => None,
    };
    let modified = fs::metadata(&path).and_then(|found| found.modified());
    let modified =
        modified.map_err(|error| Error::io(error, "cannot be examined").at_path(&path))?;
    Ok(Meta { access_count, last_access_ns: to_ns(modified), ours })
}

/// The time of the last access by the file alone, whatever is in it.
pub(crate) fn last_access_ns(dir: &Path) -> i64 {
    fs::metadata(dir.join(NAME)).and_then(|found| found.modified()).map_or(0, to_ns)
}

fn parse_ours(value: Value, path: &Path) -> Result<Option<Ours>> {
    let format = value.get("format").and_then(Value::as_u64);
    if format.is_some_and(|format| format > u64::from(META_FORMAT_VERSION)) {
        let message = format!(
            "was written by a newer Larder (this one knows {META_FORMAT_VERSION}): upgrade Larder"
        );
        return Err(Error::new(ErrorKind::Format, message).at_path(path));
    }
    let ours: Option<Ours> = serde_json::from_value(value).ok();
    let is_sound = |ours: &Ours| {
        ours.format == META_FORMAT_VERSION
            && ours.build_cost_ns.is_none_or(|cost| cost <= MAX_NUMBER)
    };
    Ok(ours.filter(is_sound))
}

/// The file's JSON object; `None` where it holds anything else.
fn object(path: &Path) -> Result<Option<Map<String, Value>>> {
    let mut bytes = Vec::new();
    let read = open_regular(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| Error::io(error, "cannot be read").at_path(path))?;
    let fits = bytes.len() as u64 <= MAX_BYTES;
    Ok(if fits { serde_json::from_slice(&bytes).ok() } else { None })
}

/// Writes what the index knows of the entry, and keeps the fields that others have put there; whether the directory is
/// there.
pub(crate) fn write(stage: &Stage, dir: &Path, row: &Row) -> Result<bool> {
    let path = dir.join(NAME);
    let failed = |error| Error::io(error, "cannot be written").at_path(&path);
    let mut object = object(&path).ok().flatten().unwrap_or_default();
    object.insert("size".to_owned(), row.size.into());
    object.insert("access_count".to_owned(), row.access_count.into());
    let ours = Ours {
        format: META_FORMAT_VERSION,
        size: row.size,
        files: row.files,
        built_at_ns: row.built_at_ns,
        build_cost_ns: row.build_cost_ns,
        pinned: row.pinned,
        expires_at_ns: row.expires_at_ns,
    };
    let encode = |error| failed(io::Error::from(error));
    object.insert("larder".to_owned(), serde_json::to_value(ours).map_err(encode)?);
    let text = serde_json::to_vec(&object).map_err(encode)?;

    let mut staged = stage.file()?;
    staged.write_all(&text).and_then(|()| staged.flush()).map_err(failed)?;
    // The time is set before publication, so that nobody reads the file without it.
    let file = File::options().write(true).open(staged.path());
    file.and_then(|file| file.set_modified(from_ns(row.last_access_ns))).map_err(failed)?;
    staged.publish_beside(&path)
}

/// Takes the mark away, so that no other program counts what is left as an entry.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    let path = dir.join(NAME);
    match fs::remove_file(&path) {
        Err(_) if path.is_dir() => publish::remove_dir(&path).map(|_| ()),
        Err(error) if !is_absent(&error) => {
            Err(Error::io(error, "cannot be removed").at_path(path))
        }
        _ => Ok(()),
    }
}
