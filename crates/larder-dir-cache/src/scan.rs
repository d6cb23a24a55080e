//! What lies below the root, as far as the entries: their own files are not looked at.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, DirEntry},
    io,
    ops::Bound,
    path::{Path, PathBuf},
};

use larder_storage::{Error, Key, RESERVED_SEGMENT, Result};

use crate::meta;

/// The file that tells backup programs to pass the directory over: <https://bford.info/cachedir/>.
pub(crate) const TAG: &str = "CACHEDIR.TAG";

#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Known keys whose directories are there.
    pub(crate) seen: HashSet<String>,
    /// Directories with a `.cache_meta` that are not known. They hold no known entry.
    pub(crate) unknown: Vec<Key>,
    /// Directories that have files and are no entries, or cannot be one.
    pub(crate) strangers: Vec<PathBuf>,
}

/// Looks through the directories below `root` and stops at the `known` entries and at those with a `.cache_meta`.
pub(crate) fn scan(root: &Path, known: &BTreeSet<String>) -> Result<Scan> {
    let mut scan = Scan::default();
    let mut open = vec![(root.to_owned(), None)];
    while let Some((dir, key)) = open.pop() {
        match scan.list(&dir, key.as_ref(), known) {
            Ok(below) => open.extend(below),
            // Removed since its name was read.
            Err(error) if key.is_some() && error.kind() == io::ErrorKind::NotFound => {}
            Err(_) if key.is_some() => scan.strangers.push(dir),
            Err(error) => return Err(Error::io(error, "cannot look into the cache").at_path(dir)),
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
        known: &BTreeSet<String>,
    ) -> io::Result<Vec<(PathBuf, Option<Key>)>> {
        let found: Vec<DirEntry> = fs::read_dir(dir)?.collect::<io::Result<_>>()?;
        if let Some(key) = key
            && meta::marks(dir)
            && !has_below(known, key)
        {
            self.unknown.push(key.clone());
            return Ok(Vec::new());
        }
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
                Some(child_key) if known.contains(child_key.as_str()) => {
                    self.seen.insert(child_key.as_str().to_owned());
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

fn has_below(known: &BTreeSet<String>, key: &Key) -> bool {
    let from = format!("{key}/");
    let mut after = known.range::<str, _>((Bound::Included(from.as_str()), Bound::Unbounded));
    after.next().is_some_and(|next| next.starts_with(&from))
}
