//! One flipped bit, anywhere in what Larder wrote: it is noticed, or nothing that is read changes.
//!
//! Each test damages every file of one store, a bit in each byte (in databases and shards a bit in every few), and
//! has the store opened, verified and read. What goes unnoticed has to be no more than what `docs/durability.md` leaves out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use larder::storage::{ErrorKind, Result};
use tempfile::TempDir;

mod database;
mod document;
mod stores;

/// Columns of which a flipped bit can hide a row, and so make a miss.
const HIDING: [&str; 2] = ["meta.value", "records.state"];

fn never(_: &[u8]) -> bool {
    false
}

/// What a look at a whole store showed.
struct Look {
    /// Whether `verify` found nothing.
    clean: bool,
    /// Each thing that is kept, by its name, as it was read; `None` for a miss.
    items: Vec<(String, Result<Option<String>>)>,
}

/// A store in a directory of its own, closed, and what is in it.
struct Specimen {
    dir: TempDir,
    files: BTreeMap<PathBuf, Vec<u8>>,
    look: fn(&Path) -> Result<Look>,
    items: BTreeMap<String, String>,
}

impl Specimen {
    fn new(fill: fn(&Path), look: fn(&Path) -> Result<Look>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let files = files(dir.path());
        let whole = look(dir.path()).unwrap();
        assert!(whole.clean);
        let items =
            whole.items.into_iter().map(|(name, item)| (name, item.unwrap().unwrap())).collect();
        let specimen = Self { dir, files, look, items };
        specimen.restore();
        specimen
    }

    /// The one file whose name ends so, below the store's directory.
    fn file(&self, end: &str) -> &Path {
        let mut found = self.files.keys().filter(|file| file.to_str().unwrap().ends_with(end));
        let file = found.next().unwrap_or_else(|| panic!("no {end} in {:?}", self.files.keys()));
        assert!(found.next().is_none(), "several {end}");
        file
    }

    /// Makes the files those that they were.
    fn restore(&self) {
        let now = files(self.dir.path());
        for gone in now.keys().filter(|file| !self.files.contains_key(*file)) {
            fs::remove_file(self.dir.path().join(gone)).unwrap();
        }
        for (file, bytes) in self.files.iter().filter(|(file, bytes)| now.get(*file) != Some(bytes))
        {
            let path = self.dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// Flips a bit in every `stride`th byte of a file, one at a time, and returns the damaged files that went unnoticed.
    fn unnoticed(
        &self,
        file: &Path,
        stride: usize,
        may_miss: impl Fn(&[u8]) -> bool,
    ) -> Vec<Vec<u8>> {
        let bytes = &self.files[file];
        let mut unnoticed = Vec::new();
        for at in (0..bytes.len()).step_by(stride) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at / stride % 8);
            fs::write(self.dir.path().join(file), &damaged).unwrap();
            if !self.notices(&format!("byte {at} of {}", file.display()), || may_miss(&damaged)) {
                unnoticed.push(damaged);
            }
            self.restore();
        }
        unnoticed
    }

    /// Whether damage is noticed; where it is not, all has to be as it was, or there has to be a reason for a miss.
    fn notices(&self, what: &str, may_miss: impl Fn() -> bool) -> bool {
        let look = match (self.look)(self.dir.path()) {
            Err(error) => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::Format, ErrorKind::Unsupported];
                assert!(kinds.contains(&error.kind()), "{what}: {error:?}");
                return true;
            }
            Ok(look) => look,
        };
        let mut noticed = !look.clean;
        let mut read = BTreeSet::new();
        for (name, item) in &look.items {
            match item {
                Ok(Some(item)) => {
                    assert_eq!(self.items.get(name), Some(item), "{what}: other data");
                    read.insert(name);
                }
                Ok(None) => {}
                Err(_) => noticed = true,
            }
        }
        let may_miss = noticed || read.len() == self.items.len() || may_miss();
        assert!(may_miss, "{what}: an unexplained miss");
        noticed
    }

    /// Damages a file at every byte; none of it goes unnoticed.
    fn all_is_noticed(&self, end: &str) {
        let file = self.file(end);
        assert!(!self.files[file].is_empty());
        let unnoticed = self.unnoticed(file, 1, never);
        assert!(unnoticed.is_empty(), "{end}: {} flips go unnoticed", unnoticed.len());
    }

    /// Damages a JSON file at every byte; unnoticed goes what is in some of these fields or changes none.
    fn fields_unnoticed(&self, end: &str, allowed: &[&str]) {
        let file = self.file(end);
        for damaged in self.unnoticed(file, 1, never) {
            for field in document::changes(&self.files[file], &damaged) {
                assert!(allowed.contains(&&*field), "{end}: {field}");
            }
        }
    }

    /// Damages a database at some 300 bytes; unnoticed goes what is in some of these columns, or in
    /// none.
    fn columns_unnoticed(&self, end: &str, allowed: &[&str]) {
        let file = self.file(end);
        let stride = (self.files[file].len() / 300) | 1;
        let changes = |damaged: &[u8]| database::changes(&self.files[file], damaged);
        let hides = |damaged: &[u8]| changes(damaged).iter().any(|it| HIDING.contains(&&**it));
        for damaged in self.unnoticed(file, stride, hides) {
            for column in changes(&damaged) {
                let is_allowed = allowed.contains(&&*column) || HIDING.contains(&&*column);
                assert!(is_allowed, "{end}: {column}");
            }
        }
    }

    /// Damages a file at some bytes, and all of it goes unnoticed.
    fn nothing_is_noticed(&self, end: &str) {
        let file = self.file(end);
        let stride = (self.files[file].len() / 20) | 1;
        let flips = self.files[file].len().div_ceil(stride);
        assert_eq!(self.unnoticed(file, stride, never).len(), flips, "{end}");
    }
}

/// The content of every file that holds anything, by its path below `dir`.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                if !bytes.is_empty() {
                    found.insert(path.strip_prefix(dir).unwrap().to_owned(), bytes);
                }
            }
        }
    }
    found
}
