//! What lies below the root, as far as the entries: their own files are not looked at.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, DirEntry},
    io,
    ops::Bound,
    path::{Path, PathBuf},
};

use larder_storage::{Error, Key, RESERVED_SEGMENT, Result};

use crate::{meta, settle::is_absent};

/// The file that tells backup programs to pass the directory over: <https://bford.info/cachedir/>.
pub(crate) const TAG: &str = "CACHEDIR.TAG";

#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Known keys whose directories are there.
    pub(crate) seen: HashSet<Key>,
    /// Directories with a `.cache_meta` that are not known. They hold no known entry.
    pub(crate) unknown: Vec<Key>,
    /// Directories that have files and are no entries, or cannot be one.
    pub(crate) strangers: Vec<PathBuf>,
    /// Why directories were not looked into; what lies below them is not known.
    pub(crate) unread: Vec<Error>,
}

/// Looks through the directories below `root` and stops at the `known` entries and at those with a `.cache_meta`.
pub(crate) fn scan(root: &Path, known: &BTreeSet<Key>) -> Result<Scan> {
    let mut scan = Scan::default();
    let mut open = vec![(root.to_owned(), None)];
    while let Some((dir, key)) = open.pop() {
        match scan.list(&dir, key.as_ref(), known) {
            Ok(below) => open.extend(below),
            // Removed since its name was read.
            Err(error) if key.is_some() && is_absent(&error) => {}
            Err(error) => {
                let error = Error::io(error, "cannot be looked into").at_path(dir);
                if key.is_none() {
                    return Err(error);
                }
                scan.unread.push(error);
            }
        }
    }
    Ok(scan)
}

impl Scan {
    /// The directories to look into next.
    fn list(
        &mut self,
        dir: &Path,
        key: Option<&Key>,
        known: &BTreeSet<Key>,
    ) -> io::Result<Vec<(PathBuf, Option<Key>)>> {
        if let Some(key) = key
            && meta::marks(dir)
            && !has_below(known, key)
        {
            self.unknown.push(key.clone());
            return Ok(Vec::new());
        }
        let found: Vec<DirEntry> = fs::read_dir(dir)?.collect::<io::Result<_>>()?;
        let (mut below, mut strange) = (Vec::new(), false);
        for child in found {
            let name = child.file_name();
            let is_ours = key.is_none() && (name == RESERVED_SEGMENT || name == TAG);
            if is_ours {
                continue;
            }
            if !child.file_type()?.is_dir() {
                strange = true;
                continue;
            }
            match child_key(key, name.to_str()) {
                Some(child_key) if known.contains(&child_key) => {
                    self.seen.insert(child_key);
                }
                Some(child_key) => below.push((child.path(), Some(child_key))),
                None => self.strangers.push(child.path()),
            }
        }
        if strange {
            self.strangers.push(dir.to_owned());
        }
        Ok(below)
    }
}

fn child_key(above: Option<&Key>, name: Option<&str>) -> Option<Key> {
    let name = name?;
    above.map_or_else(|| Key::new(name), |above| above.join(name)).ok()
}

fn has_below(known: &BTreeSet<Key>, key: &Key) -> bool {
    let from = format!("{key}/");
    let mut after = known.range::<str, _>((Bound::Included(from.as_str()), Bound::Unbounded));
    after.next().is_some_and(|next| next.as_str().starts_with(&from))
}
