//! `kill -9` and power cuts at any moment: an array is the old or the new one, and what was acknowledged is there.

use std::{
    collections::BTreeMap,
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    thread,
};

use larder::lazy_array::ArrayStore;
use larder_storage::Durability;

use super::{
    changes::{Change, change, number_of, open},
    start,
};
use crate::{
    power::{Disk, staged},
    workers::Worker,
};

/// Of processes that change arrays.
const KILLS: u32 = 1000;
/// How many directories there are whose processes are killed, at once.
const LANES: u32 = 2;
/// Power cuts, on each file system.
const CUTS: u32 = 40;

#[test]
fn a_thousand_kills_at_any_moment_tear_no_array_and_leave_no_scratch() {
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| survives_kills(KILLS / LANES));
        }
    });
}

#[test]
fn a_power_cut_tears_no_array_on_ext4() {
    survives_cuts("power cuts of arrays on ext4", "ext4");
}

#[test]
fn a_power_cut_tears_no_array_on_xfs() {
    survives_cuts("power cuts of arrays on xfs", "xfs");
}

fn survives_kills(kills: u32) {
    let dir = tempfile::tempdir().unwrap();
    // Who has had the store open all the time has to see the same as who opens it now.
    let witness = open(dir.path(), Durability::Process).unwrap();
    let mut history = History::default();
    for kill in 0..kills {
        let worker = start("churn", dir.path(), history.next);
        let (told, _) = worker.kill_at_work(kill, || ());
        let store = open(dir.path(), Durability::Process).unwrap();
        history.check(&store, dir.path(), told..=told, &format!("kill {kill}"));
        assert_eq!(arrays(&witness), history.state, "kill {kill}, seen by the witness");
    }
    assert!(history.next >= kills, "only {} changes: nobody was killed at work", history.next);
}

fn survives_cuts(test: &str, kind: &str) {
    let Some(mut disk) = Disk::make(test, kind) else { return };
    let mut history = History::default();
    for cut in 0..CUTS {
        let place = disk.path().join("arrays");
        let number = history.next.to_string();
        let mut worker =
            Worker::command(&["array", "churn-at-power", place.to_str().unwrap(), &number]);
        let (told, before) = Worker::cut_at_work(&mut worker, cut, &mut disk);
        let store = open(&place, Durability::Power).unwrap();
        history.check(&store, &place, before..=told, &format!("{kind}, cut {cut}"));
    }
    assert!(history.next >= CUTS, "only {} changes", history.next);
}

/// The number of the change that wrote each array, by key.
type State = BTreeMap<String, u32>;

/// What is there; fails where an array is torn.
fn arrays(store: &ArrayStore) -> State {
    let number = |key: &str| {
        let array = store.get(key).unwrap().unwrap();
        number_of(&array.read().unwrap(), 0)
    };
    let keys = store.keys().unwrap().into_iter();
    keys.map(|key| (key.to_string(), number(key.as_str()))).collect()
}

/// The array that a change concerns.
fn key_of(number: u32) -> String {
    match change(number) {
        Change::Insert(key)
        | Change::Write(key)
        | Change::Edit(key)
        | Change::EditSpilled(key)
        | Change::Spill(key)
        | Change::Remove(key) => key,
    }
}

/// The changes that are known to be done.
#[derive(Default)]
struct History {
    state: State,
    /// The number of the next change.
    next: u32,
}

impl History {
    /// Looks for the number of changes that were done: as many as `told` says, or one more that nobody heard of.
    fn check(&mut self, store: &ArrayStore, dir: &Path, told: RangeInclusive<u32>, moment: &str) {
        assert_eq!(staged(dir), [] as [PathBuf; 0], "{moment}: opening sweeps the stage");
        self.find(&arrays(store), told, moment);
        let report = store.verify().unwrap();
        assert!(report.is_clean(), "{moment}: {report:?}");
        self.clear(store, &report.incomplete, moment);
        for file in files(dir) {
            let name = file.to_str().unwrap();
            let key = name.strip_suffix(".npy").or(name.strip_suffix(".meta.json"));
            let is_of_array = key.is_some_and(|key| self.may_lie_there(key));
            assert!(is_of_array, "{moment}: {name} is of no array");
        }
    }

    fn find(&mut self, found: &State, told: RangeInclusive<u32>, moment: &str) {
        (0..*told.start()).for_each(|_| self.follow());
        for _ in *told.start()..=*told.end() {
            if self.state == *found {
                return;
            }
            self.follow();
        }
        assert_eq!(self.state, *found, "{moment}, in change {}", self.next);
    }

    /// Takes away half of a pair, as an interrupted removal may leave it. That of an insertion is in the way of the next
    /// process, which makes it once more; there is no other.
    fn clear(&self, store: &ArrayStore, incomplete: &[String], moment: &str) {
        for key in incomplete.iter().filter(|key| **key != key_of(self.next)) {
            assert_eq!(*key, key_of(self.next - 1), "{moment}: half of a pair");
            assert!(!store.remove(key).unwrap(), "{moment}: half of {key} is an array");
        }
    }

    fn may_lie_there(&self, key: &str) -> bool {
        self.state.contains_key(key) || key == key_of(self.next)
    }

    /// Makes the next change.
    fn follow(&mut self) {
        let number = self.next;
        match change(number) {
            Change::Insert(key)
            | Change::Write(key)
            | Change::Edit(key)
            | Change::EditSpilled(key) => {
                self.state.insert(key, number);
            }
            Change::Spill(key) => _ = self.state.entry(key).or_insert(number),
            Change::Remove(key) => _ = self.state.remove(&key),
        }
        self.next += 1;
    }
}

/// Every file below `dir` but what Larder keeps for itself, by its path from there.
fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() {
                found.push(path.strip_prefix(dir).unwrap().to_owned());
            } else if !path.ends_with(".larder") {
                open.push(path);
            }
        }
    }
    found
}
