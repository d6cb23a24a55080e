//! What an archive holds, made in an empty directory, and nothing anywhere else.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{OpenOptionsExt, symlink},
    },
    path::Path,
};

use larder_storage::{Error, ErrorKind, Result};
use tar::{Archive, Entry, EntryType};

use super::names;

/// No path is longer on any system that has one.
const MAX_NAME: u64 = 64 << 10;
/// Zeros are looked for and files are written in steps of this.
const BLOCK: usize = 64 << 10;

/// Unpacks into the empty directory `dir`; `Corrupt` where the archive is not as [`pack`](super::pack) makes them.
///
/// It is read without the extensions that other writers use, so all that is not made here is refused.
pub(super) fn unpack(archive: impl Read, dir: &Path) -> Result<()> {
    let mut archive = Archive::new(archive);
    let mut unpacker =
        Unpacker { dir, dirs: HashSet::from([Vec::new()]), name: None, target: None };
    for entry in archive.entries().map_err(unreadable)?.raw(true) {
        unpacker.take(&mut entry.map_err(unreadable)?)?;
    }
    Ok(())
}

struct Unpacker<'a> {
    dir: &'a Path,
    /// The names of the directories that were made: none of them is a link.
    dirs: HashSet<Vec<u8>>,
    /// The name and the target of the next entry, where its header has no room for them.
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl Unpacker<'_> {
    fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<()> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.name = Some(long_text(entry)?),
            EntryType::GNULongLink => self.target = Some(long_text(entry)?),
            kind => {
                let header = entry.header();
                let name = self.name.take().unwrap_or_else(|| header.path_bytes().into());
                let target = header.link_name_bytes().map(Into::into);
                let target = self.target.take().or(target).unwrap_or_default();
                self.make(kind, name, &target, entry)?;
            }
        }
        Ok(())
    }

    fn make(
        &mut self,
        kind: EntryType,
        mut name: Vec<u8>,
        target: &[u8],
        entry: &mut Entry<'_, impl Read>,
    ) -> Result<()> {
        if kind == EntryType::Directory {
            name.pop_if(|last| *last == b'/');
        }
        if !names::is_plain(&name) || !self.dirs.contains(names::parent(&name)) {
            return Err(odd(&name, "leads elsewhere"));
        }
        let path = self.dir.join(OsStr::from_bytes(&name));
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => odd(&name, "comes twice"),
            io::ErrorKind::InvalidInput => odd(&name, "is no name"),
            _ => Error::io(error, "cannot be unpacked").at_path(&path),
        };
        match kind {
            EntryType::Directory => {
                fs::create_dir(&path).map_err(failed)?;
                self.dirs.insert(name);
            }
            EntryType::Regular => {
                let mode = entry.header().mode().map_err(unreadable)?;
                // The process's own mask takes from these what it takes from all files.
                let mode = if mode & 0o100 == 0 { 0o666 } else { 0o777 };
                let file = File::options().write(true).create_new(true).mode(mode).open(&path);
                copy(entry, file.map_err(failed)?, &path)?;
            }
            EntryType::Symlink if names::stays_inside(&name, target) => {
                symlink(OsStr::from_bytes(target), &path).map_err(failed)?;
            }
            EntryType::Symlink => return Err(odd(&name, "is a link that may lead elsewhere")),
            _ => return Err(odd(&name, "is of a kind that is not packed")),
        }
        Ok(())
    }
}

/// Writes the entry's bytes to the file, and leaves holes where there are only zeros.
fn copy(entry: &mut Entry<'_, impl Read>, mut file: File, path: &Path) -> Result<()> {
    let failed = |error| Error::io(error, "cannot be unpacked").at_path(path);
    let mut left = entry.header().size().map_err(unreadable)?;
    let len = left;
    let mut block = Vec::with_capacity(BLOCK);
    while left > 0 {
        block.clear();
        entry.take(BLOCK as u64).read_to_end(&mut block).map_err(unreadable)?;
        if block.is_empty() {
            return Err(Error::new(ErrorKind::Corrupt, "ends within a file"));
        }
        if block.iter().all(|byte| *byte == 0) {
            file.seek(SeekFrom::Current(block.len() as i64)).map(drop)
        } else {
            file.write_all(&block)
        }
        .map_err(failed)?;
        left -= block.len() as u64;
    }
    file.set_len(len).map_err(failed)
}

/// The text of an entry that has a name or a target for the next one.
fn long_text(entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    entry.take(MAX_NAME).read_to_end(&mut text).map_err(unreadable)?;
    let is_whole = text.pop_if(|last| *last == 0).is_some();
    if is_whole { Ok(text) } else { Err(odd(&text, "has no end")) }
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Corrupt, "is no archive of an entry").with_source(error)
}

fn odd(name: &[u8], why: &str) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::new(ErrorKind::Corrupt, format!("has an entry {name:?} that {why}"))
}
