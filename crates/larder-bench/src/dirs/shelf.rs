//! Roots of entries, as everybody keeps them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use larder_dir_cache::{DirCache, Options};
use larder_storage::Durability;
use serde_json::{Value, json};

use crate::{
    Outcome,
    directories::Directories,
    peer::Interpreter,
    rounds::{Turn, each},
};

/// The files of each entry.
pub(super) const FILES: [&str; 4] = ["mesh.vtu", "result.h5", "parts.json", "preview.png"];
pub(super) const CONTENT: [u8; 4096] = [7; 4096];

/// More than all entries take.
const ABOVE: u64 = 1 << 40;

pub(super) struct Shelf<'a> {
    pub(super) dirs: &'a Directories,
    python: Option<Interpreter>,
    /// The packages in Python with their versions.
    pub(super) versions: String,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(dirs: &'a Directories) -> Outcome<Self> {
        let (python, versions) = (Interpreter::start("dirs/peer.py")?, String::new());
        let mut shelf = Self { dirs, python, versions };
        if let Some(python) = &shelf.python {
            let source = dirs.next()?.join("content");
            fs::write(&source, CONTENT)?;
            let request = json!({ "request": "hello", "names": FILES, "source": source });
            shelf.versions = python.ask(&request)?;
        } else {
            eprintln!("dirs: nothing in Python takes part: `cargo xtask peers` makes target/peers");
        }
        Ok(shelf)
    }

    /// Has Python do something that is not compared.
    pub(super) fn ask(&self, request: &Value) -> Outcome {
        self.python.as_ref().map_or(Ok(()), |python| python.time(request).map(drop))
    }

    /// A contender in Python, by its request of a round. None where there is no Python.
    pub(super) fn remote<'s>(
        &'s self,
        name: &'s str,
        request: impl Fn(usize) -> Value + 's,
    ) -> Option<(&'s str, Turn<'s>)> {
        let python = self.python.as_ref()?;
        Some((name, Box::new(move |round| python.time(&request(round)))))
    }
}

/// Entries that are there, in the form of vcti-file-cache.
pub(super) struct Root {
    pub(super) dir: PathBuf,
    pub(super) entries: usize,
}

impl Root {
    /// A root that Larder does not know.
    pub(super) fn fill(dirs: &Directories, entries: usize) -> Outcome<Self> {
        let dir = dirs.next()?;
        let size = FILES.len() * CONTENT.len();
        for number in 0..entries {
            let entry = dir.join(key(number));
            fs::create_dir_all(&entry)?;
            write_files(&entry)?;
            fs::write(
                entry.join(".cache_meta"),
                json!({ "size": size, "access_count": 1 }).to_string(),
            )?;
        }
        Ok(Self { dir, entries })
    }

    /// A root whose entries Larder has adopted.
    pub(super) fn adopted(dirs: &Directories, entries: usize) -> Outcome<Self> {
        let root = Self::fill(dirs, entries)?;
        let cache = root.open()?;
        // Writes what Larder knows into every `.cache_meta`.
        cache.run_once()?;
        root.check(&cache)?;
        Ok(root)
    }

    /// Larder's cache of the root, without a thread that would run cycles meanwhile.
    pub(super) fn open(&self) -> Outcome<DirCache> {
        open(&self.dir, Durability::default())
    }

    /// Fails where the cache has not all entries.
    pub(super) fn check(&self, cache: &DirCache) -> Outcome {
        if cache.entry_count()? == self.entries as u64 {
            return Ok(());
        }
        Err("the cache has another number of entries".into())
    }

    pub(super) fn keys(&self) -> Vec<String> {
        (0..self.entries).map(key).collect()
    }
}

/// Larder's cache as it is by default, but for its thread.
pub(super) fn open(dir: &Path, durability: Durability) -> Outcome<DirCache> {
    let options = Options::new(ABOVE).background(false).durability(durability);
    Ok(DirCache::open(dir, options)?)
}

/// The key of an entry, in one of a hundred directories.
pub(super) fn key(number: usize) -> String {
    format!("{:02}/model_{number:06}", number % 100)
}

pub(super) fn write_files(dir: &Path) -> io::Result<()> {
    FILES.iter().try_for_each(|name| fs::write(dir.join(name), CONTENT))
}

/// Fails where the directory does not hold the files.
pub(super) fn check_files(dir: &Path) -> Outcome {
    for name in FILES {
        if fs::read(dir.join(name))? != CONTENT {
            return Err(format!("{} is another one", dir.join(name).display()).into());
        }
    }
    Ok(())
}

/// A contender in Rust at the numbers of a round, each a call.
pub(super) fn at_numbers<'a>(
    numbers: impl Fn(usize) -> Vec<usize> + 'a,
    mut work: impl FnMut(usize) -> Outcome + 'a,
) -> Turn<'a> {
    Box::new(move |round| each(1, &numbers(round), |number| work(*number)))
}
