//! What a directory holds and occupies.

use std::{
    collections::HashSet,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use larder_storage::{Digest, Error, Result};
use serde::{Deserialize, Serialize};

use crate::{enter::MAX_SIZE, index::Row, meta};

/// What counts as the size of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Measure {
    /// What its files and directories occupy on the disk, as `du` counts: holes are free, and hard links inside one entry
    /// count once.
    #[default]
    Occupied,
    /// The sum of the lengths of its files, hard links once; directories are free.
    Apparent,
}

/// Opens a file to read; what is no file, such as a pipe that nobody writes, is an error and not waited for.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    File::open(path)
}

/// The digest of an entry that is written in place: nobody knows what its files should be.
pub(crate) fn unknown_listing() -> Digest {
    Digest::from([0; 32])
}

/// A measured directory. Names that start with `.cache_meta` are the cache's own and count nowhere.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The bytes of the directory and all files, links and directories in it; each inode once.
    pub(crate) size: u64,
    /// Files and symbolic links.
    pub(crate) files: u64,
    /// The digest of the names, kinds and lengths of all that is below.
    pub(crate) listing: Digest,
    /// The first thing found that has one of the cache's own names.
    pub(crate) reserved: Option<PathBuf>,
}

impl Tree {
    /// Whether its files are those that the index has. The size is not asked: a file system may settle what a file
    /// occupies long after it was written.
    pub(crate) fn has_files_of(&self, row: &Row) -> bool {
        row.listing == unknown_listing() || (self.files, self.listing) == (row.files, row.listing)
    }
}

#[derive(Default)]
struct Walk {
    measure: Measure,
    size: u64,
    files: u64,
    lines: Vec<Vec<u8>>,
    linked: HashSet<(u64, u64)>,
    reserved: Option<PathBuf>,
}

/// Walks all that lies below `dir`, following no link.
pub(crate) fn measure(dir: &Path, measure: Measure) -> Result<Tree> {
    let mut walk = Walk { measure, ..Walk::default() };
    let own = fs::symlink_metadata(dir);
    let own = own.map_err(|error| Error::io(error, "cannot be examined").at_path(dir))?;
    walk.size = walk.bytes(&own);
    let mut open = vec![(dir.to_owned(), Vec::new())];
    while let Some((dir, name)) = open.pop() {
        let failed = |error| Error::io(error, "cannot look into the directory").at_path(&dir);
        for found in fs::read_dir(&dir).map_err(failed)? {
            let found = found.map_err(failed)?;
            if meta::is_own_name(&found.file_name()) {
                walk.reserved.get_or_insert_with(|| found.path());
                continue;
            }
            let name = [&name[..], b"/", found.file_name().as_encoded_bytes()].concat();
            let metadata = found.metadata().map_err(failed)?;
            walk.count(&name, &metadata);
            if metadata.is_dir() {
                open.push((found.path(), name));
            }
        }
    }
    Ok(walk.finish())
}

impl Walk {
    fn count(&mut self, name: &[u8], found: &Metadata) {
        let (kind, len) = match found.file_type() {
            kind if kind.is_dir() => (b'd', 0),
            kind if kind.is_symlink() => (b'l', found.len()),
            kind if kind.is_file() => (b'f', found.len()),
            _ => (b'o', 0),
        };
        self.lines.push([name, &[0, kind], &len.to_le_bytes()].concat());
        self.files += u64::from(kind != b'd');
        self.size = self.size.saturating_add(self.bytes(found));
    }

    fn bytes(&mut self, found: &Metadata) -> u64 {
        let is_linked = !found.is_dir() && found.nlink() > 1;
        if is_linked && !self.linked.insert((found.dev(), found.ino())) {
            return 0;
        }
        match self.measure {
            Measure::Occupied => found.blocks().saturating_mul(512),
            Measure::Apparent if found.is_dir() => 0,
            Measure::Apparent => found.len(),
        }
    }

    fn finish(mut self) -> Tree {
        self.lines.sort_unstable();
        let listing = Digest::of(&self.lines.concat());
        // An apparent size may be anything.
        Tree {
            size: self.size.min(MAX_SIZE + 1),
            files: self.files,
            listing,
            reserved: self.reserved,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(path: &Path, bytes: usize) {
        let mut file = File::create(path).unwrap();
        file.write_all(&vec![7; bytes]).unwrap();
        // Some file systems know only then what it occupies.
        file.sync_all().unwrap();
    }

    #[test]
    fn holes_are_free_and_links_count_once() {
        let dir = tempfile::tempdir().unwrap();
        file(&dir.path().join("a"), 1 << 20);
        let whole = measure(dir.path(), Measure::Occupied).unwrap();
        assert!(whole.size > 0 && whole.files == 1);

        fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        let linked = measure(dir.path(), Measure::Occupied).unwrap();
        assert_eq!((linked.size, linked.files), (whole.size, 2));
        assert_ne!(whole.listing, linked.listing);

        File::create(dir.path().join("hole")).unwrap().set_len(100_000_000).unwrap();
        let sparse = measure(dir.path(), Measure::Occupied).unwrap();
        assert!(sparse.size < whole.size + 1_000_000 && sparse.files == 3);
        let apparent = measure(dir.path(), Measure::Apparent).unwrap();
        assert_eq!(apparent.size, (1 << 20) + 100_000_000);
    }

    #[test]
    fn the_listing_knows_names_kinds_and_lengths() {
        let listing = |make: &dyn Fn(&Path)| {
            let dir = tempfile::tempdir().unwrap();
            make(dir.path());
            measure(dir.path(), Measure::Occupied).unwrap().listing
        };
        let listings = [
            listing(&|_| {}),
            listing(&|dir| file(&dir.join("a"), 1)),
            listing(&|dir| file(&dir.join("a"), 2)),
            listing(&|dir| file(&dir.join("b"), 1)),
            listing(&|dir| fs::create_dir(dir.join("a")).unwrap()),
            listing(&|dir| {
                fs::create_dir(dir.join("a")).unwrap();
                file(&dir.join("a/a"), 1);
            }),
        ];
        let different: HashSet<_> = listings.iter().map(ToString::to_string).collect();
        assert_eq!(different.len(), listings.len());
        assert_eq!(listings[1], listing(&|dir| file(&dir.join("a"), 1)));
    }

    #[test]
    fn names_of_the_cache_are_told_and_not_counted() {
        let dir = tempfile::tempdir().unwrap();
        let before = measure(dir.path(), Measure::Occupied).unwrap();
        file(&dir.path().join(".cache_meta.1.2.tmp"), 100);
        let after = measure(dir.path(), Measure::Occupied).unwrap();
        assert_eq!(
            (after.size, after.files, after.listing),
            (before.size, before.files, before.listing)
        );
        assert!(before.reserved.is_none() && after.reserved.is_some());
    }
}
