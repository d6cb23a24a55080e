//! What a directory holds and occupies.

use std::{
    collections::HashSet,
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

use larder_storage::{Digest, Error, Result};

use crate::{index::Row, meta};

/// A measured directory. Names that start with `.cache_meta` are the cache's own and count nowhere.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Occupied bytes of all files, links and subdirectories; each inode once.
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
        (self.files, self.listing) == (row.files, row.listing)
    }
}

#[derive(Default)]
struct Measure {
    size: u64,
    files: u64,
    lines: Vec<Vec<u8>>,
    linked: HashSet<(u64, u64)>,
    reserved: Option<PathBuf>,
}

/// Walks all that lies below `dir`, following no link.
pub(crate) fn measure(dir: &Path) -> Result<Tree> {
    let mut measure = Measure::default();
    let mut open = vec![(dir.to_owned(), Vec::new())];
    while let Some((dir, name)) = open.pop() {
        let failed = |error| Error::io(error, "cannot look into the directory").at_path(&dir);
        for found in fs::read_dir(&dir).map_err(failed)? {
            let found = found.map_err(failed)?;
            if meta::is_own_name(&found.file_name()) {
                measure.reserved.get_or_insert_with(|| found.path());
                continue;
            }
            let name = [&name[..], b"/", found.file_name().as_encoded_bytes()].concat();
            let metadata = found.metadata().map_err(failed)?;
            measure.count(&name, &metadata);
            if metadata.is_dir() {
                open.push((found.path(), name));
            }
        }
    }
    Ok(measure.finish())
}

impl Measure {
    fn count(&mut self, name: &[u8], found: &Metadata) {
        let (kind, len) = match found.file_type() {
            kind if kind.is_dir() => (b'd', 0),
            kind if kind.is_symlink() => (b'l', found.len()),
            kind if kind.is_file() => (b'f', found.len()),
            _ => (b'o', 0),
        };
        self.lines.push([name, &[0, kind], &len.to_le_bytes()].concat());
        self.files += u64::from(kind != b'd');
        self.size = self.size.saturating_add(self.occupied(found));
    }

    #[cfg(unix)]
    fn occupied(&mut self, found: &Metadata) -> u64 {
        use std::os::unix::fs::MetadataExt;
        let again =
            !found.is_dir() && found.nlink() > 1 && !self.linked.insert((found.dev(), found.ino()));
        if again { 0 } else { found.blocks().saturating_mul(512) }
    }

    #[cfg(not(unix))]
    fn occupied(&mut self, found: &Metadata) -> u64 {
        if found.is_dir() { 0 } else { found.len() }
    }

    fn finish(mut self) -> Tree {
        self.lines.sort_unstable();
        let listing = Digest::of(&self.lines.concat());
        Tree { size: self.size, files: self.files, listing, reserved: self.reserved }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write};

    use super::*;

    fn file(path: &Path, bytes: usize) {
        let mut file = File::create(path).unwrap();
        file.write_all(&vec![7; bytes]).unwrap();
        // Some file systems know only then what it occupies.
        file.sync_all().unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn holes_are_free_and_links_count_once() {
        let dir = tempfile::tempdir().unwrap();
        file(&dir.path().join("a"), 1 << 20);
        let whole = measure(dir.path()).unwrap();
        assert!(whole.size > 0 && whole.files == 1);

        fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        let linked = measure(dir.path()).unwrap();
        assert_eq!((linked.size, linked.files), (whole.size, 2));
        assert_ne!(whole.listing, linked.listing);

        File::create(dir.path().join("hole")).unwrap().set_len(100_000_000).unwrap();
        let sparse = measure(dir.path()).unwrap();
        assert!(sparse.size < whole.size + 1_000_000 && sparse.files == 3);
    }

    #[test]
    fn the_listing_knows_names_kinds_and_lengths() {
        let listing = |make: &dyn Fn(&Path)| {
            let dir = tempfile::tempdir().unwrap();
            make(dir.path());
            measure(dir.path()).unwrap().listing
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
        let before = measure(dir.path()).unwrap();
        file(&dir.path().join(".cache_meta.1.2.tmp"), 100);
        let after = measure(dir.path()).unwrap();
        assert_eq!(
            (after.size, after.files, after.listing),
            (before.size, before.files, before.listing)
        );
        assert!(before.reserved.is_none() && after.reserved.is_some());
    }
}
