//! What somebody else put in the place of an array's files: links, directories, pipes, less than was there.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use larder::lazy_array::{ArrayStore, LazyArray, MemoryBudget, Options};
use larder_storage::{ErrorKind, Result};
use tempfile::TempDir;

use super::changes::{content, edit, number_of};

/// The array whose files are replaced, and the one that has to stay as it is.
const KEY: &str = "sub/a";
const OTHER: &str = "b";
/// The number of an array that nobody may read.
const OUTSIDE: u32 = 7;
const ROWS: usize = 20;

fn open(dir: &Path) -> ArrayStore {
    ArrayStore::open(dir, Options::default().budget(MemoryBudget::bytes(1 << 20))).unwrap()
}

fn number(store: &ArrayStore, key: &str) -> Result<Option<u32>> {
    let Some(array) = store.get(key)? else { return Ok(None) };
    let number = number_of(&array.read()?, 0);
    Ok(Some(number))
}

/// A directory with two arrays, of the numbers 1 and 2, and one outside.
struct Scene {
    dir: TempDir,
    outside: TempDir,
    /// Where lies what was replaced.
    aside: TempDir,
    /// The first array, edited to the number 9, and as it was published, neither of them in memory before.
    edited: LazyArray<u64>,
    clean: LazyArray<u64>,
}

impl Scene {
    fn new() -> Self {
        let [dir, outside, aside] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let insert = |dir: &TempDir, key, number| {
            open(dir.path()).insert(key, content(key, number, ROWS)).unwrap();
        };
        insert(&dir, KEY, 1);
        insert(&dir, OTHER, 2);
        insert(&outside, KEY, OUTSIDE);
        let [edited, clean] = [(); 2].map(|()| open(dir.path()).get(KEY).unwrap().unwrap());
        edit(&edited, 9).unwrap();
        // Those of the stores above.
        fs::remove_dir_all(outside.path().join(".larder")).unwrap();
        Self { dir, outside, aside, edited, clean }
    }

    /// Puts what `make` makes in the place of a file or directory.
    fn plant(&self, name: &str, make: impl FnOnce(&Path)) {
        let place = self.dir.path().join(name);
        fs::rename(&place, self.aside.path().join(place.file_name().unwrap())).unwrap();
        make(&place);
    }

    fn link(&self, name: &str, target: &Path) {
        self.plant(name, |place| symlink(target, place).unwrap());
    }

    fn link_out(&self, name: &str) {
        self.link(name, &self.outside.path().join(name));
    }

    fn link_to_other(&self, extension: &str) {
        let target = self.dir.path().join(format!("{OTHER}.{extension}"));
        self.link(&format!("{KEY}.{extension}"), &target);
    }

    /// Puts everything back that was replaced by a link.
    fn restore(&self) {
        for entry in fs::read_dir(self.aside.path()).unwrap() {
            let kept = entry.unwrap();
            let above = if kept.file_name() == "sub" { "" } else { "sub" };
            let place = self.dir.path().join(above).join(kept.file_name());
            // A removal may have taken the link away before it was refused.
            let _ = fs::remove_file(&place);
            fs::rename(kept.path(), place).unwrap();
        }
    }
}

type Operation = fn(&Scene) -> Result<()>;

/// Everything that can be done to an array.
const OPERATIONS: [(&str, Operation); 10] = [
    ("get", |scene| {
        let found = number(&open(scene.dir.path()), KEY)?;
        assert_ne!(found, Some(OUTSIDE));
        Ok(())
    }),
    ("read", |scene| {
        assert_ne!(number_of(&scene.clean.read()?, 0), OUTSIDE);
        Ok(())
    }),
    ("rows", |scene| {
        assert_ne!(number_of(&scene.clean.rows(3..5)?, 3), OUTSIDE);
        Ok(())
    }),
    ("info", |scene| open(scene.dir.path()).info(KEY).map(drop)),
    ("insert", |scene| open(scene.dir.path()).insert(KEY, content(KEY, 5, ROWS)).map(drop)),
    ("write", |scene| {
        let (store, content) = (open(scene.dir.path()), content(KEY, 5, ROWS));
        let mut writer = store.writer(KEY, content.shape())?;
        writer.append(content.view())?;
        writer.finish().map(drop)
    }),
    ("export", |scene| {
        let file = scene.aside.path().with_extension("npy");
        let exported = open(scene.dir.path()).export_npy(KEY, &file);
        let _ = fs::remove_file(file);
        exported.map(drop)
    }),
    ("flush", |scene| scene.edited.flush()),
    ("remove", |scene| open(scene.dir.path()).remove(KEY).map(drop)),
    ("verify", |scene| open(scene.dir.path()).verify().map(drop)),
];

/// Does everything to an array with something planted in its place, each time from the start, and lets `check` look at
/// what came of it.
fn with_planted(plant: impl Fn(&Scene), check: impl Fn(&Scene, &Result<()>, &str)) {
    for (name, operation) in OPERATIONS {
        let scene = Scene::new();
        plant(&scene);
        let outside = files(scene.outside.path());
        let outcome = operation(&scene);
        assert_eq!(files(scene.outside.path()), outside, "{name}: changed what lies outside");
        let other = number(&open(scene.dir.path()), OTHER).unwrap();
        assert_eq!(other, Some(2), "{name}: changed another array");
        assert_eq!(number_of(&scene.edited.read().unwrap(), 0), 9, "{name}: lost the edits");
        check(&scene, &outcome, name);
    }
}

/// After an error, the array is there as soon as the link is not.
fn is_kept(scene: &Scene, outcome: &Result<()>, operation: &str) {
    if outcome.is_err() {
        scene.restore();
        let store = open(scene.dir.path());
        let outcome = number(&store, KEY);
        assert_eq!(outcome.unwrap(), Some(1), "{operation}: lost the array");
        assert!(store.verify().unwrap().is_clean(), "{operation}");
    }
}

/// Refused with the name of the link, or done without it.
fn is_refused(scene: &Scene, outcome: &Result<()>, operation: &str) {
    if let Err(error) = outcome {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{operation}: {error:?}");
        assert!(error.to_string().contains("symbolic link"), "{operation}: {error}");
    }
    is_kept(scene, outcome, operation);
}

/// Everything below a directory: files with their content, links with their targets.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push((path.clone(), Vec::new()));
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn links_out_of_the_directory_are_refused_and_nothing_there_is_touched() {
    for name in ["sub/a.npy", "sub/a.meta.json", "sub"] {
        with_planted(|scene| scene.link_out(name), is_refused);
    }
    let both = |scene: &Scene| {
        scene.link_out("sub/a.npy");
        scene.link_out("sub/a.meta.json");
    };
    with_planted(both, is_refused);
}

#[test]
fn links_to_nothing_are_refused_and_nothing_is_made_there() {
    for name in ["sub/a.npy", "sub/a.meta.json", "sub"] {
        let nowhere = |scene: &Scene| scene.link(name, &scene.outside.path().join("nowhere"));
        with_planted(nowhere, is_refused);
    }
}

#[test]
fn links_to_the_files_of_another_array_do_it_no_harm() {
    for extension in ["npy", "meta.json"] {
        with_planted(|scene| scene.link_to_other(extension), is_kept);
    }
    let both = |scene: &Scene| {
        scene.link_to_other("npy");
        scene.link_to_other("meta.json");
    };
    with_planted(both, is_kept);
}

#[test]
fn a_directory_in_the_place_of_a_file_is_left_alone() {
    let make = |place: &Path| {
        fs::create_dir(place).unwrap();
        fs::write(place.join("thesis.tex"), "precious").unwrap();
    };
    for name in ["sub/a.npy", "sub/a.meta.json"] {
        let is_there = |scene: &Scene, outcome: &Result<()>, operation: &str| {
            let kept = fs::read_to_string(scene.dir.path().join(name).join("thesis.tex"));
            assert_eq!(kept.unwrap(), "precious", "{operation} of {name}: {outcome:?}");
            let changes = ["insert", "write", "flush"].contains(&operation);
            assert!(!changes || outcome.is_err(), "{operation} of {name}");
        };
        with_planted(|scene| scene.plant(name, make), is_there);
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let make = |place: &Path| {
        assert!(Command::new("mkfifo").arg(place).status().unwrap().success());
    };
    for name in ["sub/a.npy", "sub/a.meta.json"] {
        let is_refused = |scene: &Scene, outcome: &Result<()>, operation: &str| {
            if let Err(error) = outcome {
                assert_eq!(error.kind(), ErrorKind::Invalid, "{operation} of {name}: {error:?}");
            }
            is_kept(scene, outcome, operation);
        };
        with_planted(|scene| scene.plant(name, make), is_refused);
    }
}

#[test]
fn a_file_that_is_cut_short_while_its_rows_are_read_is_an_error() {
    const MANY: usize = 2000;
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).insert(KEY, content(KEY, 1, MANY)).unwrap();
    let store = open(dir.path());
    let array = store.get::<u64>(KEY).unwrap().unwrap();
    let mut chunks = array.chunks(MANY / 4).unwrap();
    number_of(&chunks.next().unwrap().unwrap(), 0);
    let file = OpenOptions::new().write(true).open(dir.path().join("sub/a.npy")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let left: Vec<_> = chunks.collect();
    assert_eq!(left.len(), 3);
    for chunk in &left[1..] {
        assert_eq!(chunk.as_ref().unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(array.read().unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.verify().unwrap().problems.len(), 1);
    assert!(store.remove(KEY).unwrap());
    store.insert(KEY, content(KEY, 2, ROWS)).unwrap();
    assert_eq!(number(&open(dir.path()), KEY).unwrap(), Some(2));
}
