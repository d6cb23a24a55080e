use std::{
    fs::{self, DirEntry, Metadata, ReadDir},
    io,
    path::{Path, PathBuf},
};

use super::root::Root;
use crate::{Error, Key, RESERVED_SEGMENT, Result, publish::is_absent, storage::Entry};

/// An object that a walk came to.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: Key,
    metadata: Lookup,
}

/// The length and time of an object: a system call of their own, made only for whoever asks.
#[derive(Debug)]
enum Lookup {
    Done(Metadata),
    Of(DirEntry),
}

impl Found {
    /// With length and time; `None` where it was removed meanwhile.
    pub(super) fn entry(self) -> Result<Option<Entry>> {
        let found = match self.metadata {
            Lookup::Done(found) => found,
            Lookup::Of(entry) => match entry.metadata() {
                Err(error) if is_absent(&error) => return Ok(None),
                found => found.map_err(|error| failed(error, &entry.path()))?,
            },
        };
        // Every platform that has directories to list has modification times.
        let modified = found.modified().unwrap_or(std::time::SystemTime::UNIX_EPOCH);
        Ok(Some(Entry { key: self.key, len: found.len(), modified }))
    }
}

/// A depth-first walk over the objects below a directory; open directories are all it holds.
#[derive(Debug)]
pub(super) struct Walk {
    root: Root,
    /// The object that is the prefix itself.
    single: Option<Found>,
    open: Vec<(PathBuf, ReadDir, Option<Key>)>,
}

impl Walk {
    pub(super) fn new(root: &Root, prefix: Option<&Key>) -> Result<Self> {
        let mut walk = Self { root: root.clone(), single: None, open: Vec::new() };
        let start = prefix.map_or_else(|| Ok(root.0.clone()), |key| root.path(key))?;
        // Links on the way to the prefix are followed, as those to an object are; none below it is.
        match fs::metadata(&start) {
            Ok(found) if found.is_dir() => walk.enter(start, prefix.cloned())?,
            Ok(found) if found.is_file() => {
                let metadata = Lookup::Done(found);
                walk.single = prefix.map(|key| Found { key: key.clone(), metadata });
            }
            Err(error) if !is_absent(&error) => return Err(failed(error, &start)),
            _ => {}
        }
        Ok(walk)
    }

    fn enter(&mut self, dir: PathBuf, key: Option<Key>) -> Result<()> {
        match fs::read_dir(&dir) {
            Ok(entries) => self.open.push((dir, entries, key)),
            // Removed meanwhile, with all that was in it.
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(failed(error, &dir)),
        }
        Ok(())
    }

    /// The object that a directory entry is; a directory is entered instead.
    fn visit(&mut self, found: DirEntry, above: Option<&Key>) -> Result<Option<Found>> {
        let name = found.file_name();
        let Some(name) = name.to_str().filter(|name| !name.eq_ignore_ascii_case(RESERVED_SEGMENT))
        else {
            return Ok(None);
        };
        let key = above.map_or_else(|| Key::new(name), |above| above.join(name));
        let Ok(key) = key else { return Ok(None) };
        let kind = match found.file_type() {
            Err(error) if is_absent(&error) => return Ok(None),
            kind => kind.map_err(|error| failed(error, &found.path()))?,
        };
        if kind.is_dir() {
            return self.enter(found.path(), Some(key)).map(|()| None);
        }
        let metadata = if kind.is_symlink() {
            self.target(&found.path()).map(Lookup::Done)
        } else {
            kind.is_file().then_some(Lookup::Of(found))
        };
        Ok(metadata.map(|metadata| Found { key, metadata }))
    }

    /// The file that a symbolic link counts for, while it stays inside the root. A linked directory could lead round
    /// in circles, so none is listed.
    fn target(&self, link: &Path) -> Option<Metadata> {
        self.root.check_link(link).ok()?;
        fs::metadata(link).ok().filter(Metadata::is_file)
    }

    fn advance(&mut self) -> Result<Option<Found>> {
        if let Some(single) = self.single.take() {
            return Ok(Some(single));
        }
        while let Some((dir, entries, key)) = self.open.last_mut() {
            let (next, above) = (entries.next(), key.clone());
            let Some(found) = next.transpose().map_err(|error| failed(error, dir))? else {
                self.open.pop();
                continue;
            };
            if let Some(object) = self.visit(found, above.as_ref())? {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }
}

impl Iterator for Walk {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            self.open.clear();
        }
        next.transpose()
    }
}

fn failed(error: io::Error, path: &Path) -> Error {
    Error::io(error, "cannot list the directory").at_path(path)
}
