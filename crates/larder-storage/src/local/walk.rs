use std::{
    fs::{self, DirEntry, Metadata, ReadDir},
    io,
    path::{Path, PathBuf},
};

use super::root::Root;
use crate::{
    Error, Key, RESERVED_SEGMENT, Result,
    publish::is_absent,
    storage::{Entries, Entry},
};

/// A depth-first walk over the objects below a directory; open directories are all it holds.
#[derive(Debug)]
pub(super) struct Walk {
    root: PathBuf,
    /// The object that is the prefix itself.
    single: Option<Entry>,
    open: Vec<(PathBuf, ReadDir, Option<Key>)>,
}

impl Walk {
    pub(super) fn new(root: &Root, prefix: Option<&Key>) -> Result<Self> {
        let mut walk = Self { root: root.0.clone(), single: None, open: Vec::new() };
        let start = prefix.map_or_else(|| Ok(root.0.clone()), |key| root.path(key))?;
        // Links on the way to the prefix are followed, as those to an object are; none below it is.
        match fs::metadata(&start) {
            Ok(found) if found.is_dir() => walk.enter(start, prefix.cloned())?,
            Ok(found) if found.is_file() => {
                walk.single = prefix.map(|key| entry(key.clone(), &found));
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

    /// What the path names; a symbolic link counts for its target while that stays inside the root.
    fn metadata(&self, path: &Path) -> Result<Option<Metadata>> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => {
                let inside =
                    fs::canonicalize(path).is_ok_and(|target| target.starts_with(&self.root));
                // A linked directory could lead round in circles, so only files are listed through links.
                return Ok(fs::metadata(path).ok().filter(|found| inside && found.is_file()));
            }
            found => found,
        };
        match found {
            Err(error) if is_absent(&error) => Ok(None),
            found => found.map(Some).map_err(|error| failed(error, path)),
        }
    }

    /// The object that a directory entry is; a directory is entered instead.
    fn visit(&mut self, found: &DirEntry, above: Option<&Key>) -> Result<Option<Entry>> {
        let name = found.file_name();
        let Some(name) = name.to_str().filter(|name| !name.eq_ignore_ascii_case(RESERVED_SEGMENT))
        else {
            return Ok(None);
        };
        let key = above.map_or_else(|| Key::new(name), |above| above.join(name));
        let (Ok(key), path) = (key, found.path()) else { return Ok(None) };
        match self.metadata(&path)? {
            Some(found) if found.is_dir() => self.enter(path, Some(key)).map(|()| None),
            Some(found) if found.is_file() => Ok(Some(entry(key, &found))),
            _ => Ok(None),
        }
    }

    fn advance(&mut self) -> Result<Option<Entry>> {
        if let Some(single) = self.single.take() {
            return Ok(Some(single));
        }
        while let Some((dir, entries, key)) = self.open.last_mut() {
            let (next, above) = (entries.next(), key.clone());
            let Some(found) = next.transpose().map_err(|error| failed(error, dir))? else {
                self.open.pop();
                continue;
            };
            if let Some(entry) = self.visit(&found, above.as_ref())? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

impl Iterator for Walk {
    type Item = <Entries<'static> as Iterator>::Item;

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

fn entry(key: Key, found: &Metadata) -> Entry {
    // Every platform that has directories to list has modification times.
    let modified = found.modified().unwrap_or(std::time::SystemTime::UNIX_EPOCH);
    Entry { key, len: found.len(), modified }
}
