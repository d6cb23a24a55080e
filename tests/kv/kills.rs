//! `kill -9` and power cuts at any moment: what was acknowledged is there, and nothing is damaged.

use std::{collections::BTreeMap, ops::RangeInclusive, thread};

use larder::kv_cache::KvCache;

use super::{
    changes::{Change, LEN, MANY, change, content, open},
    start,
};
use crate::power::Disk;

/// Of processes that write to a database.
const KILLS: u32 = 1000;
/// How many caches are killed at once.
const LANES: u32 = 2;
/// Power cuts, on each file system.
const CUTS: u32 = 40;

type State = BTreeMap<String, String>;

#[test]
fn a_thousand_kills_at_any_moment_lose_nothing_of_a_database() {
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || survives_kills("database", KILLS / LANES, lane == 0));
        }
    });
}

#[test]
fn a_kill_at_any_moment_loses_nothing_of_a_document() {
    survives_kills("document", 60, false);
}

#[test]
fn a_power_cut_loses_nothing_of_a_database_on_ext4() {
    survives_cuts("power cuts of a lookup cache on ext4", "ext4");
}

#[test]
fn a_power_cut_loses_nothing_of_a_database_on_xfs() {
    survives_cuts("power cuts of a lookup cache on xfs", "xfs");
}

/// Where there is a witness it stays open, so that nobody recovers the database, and what it remembers has to be true.
fn survives_kills(engine: &str, kills: u32, has_witness: bool) {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let witness = has_witness.then(|| open(engine, place).unwrap());
    let mut history = History::default();
    for kill in 0..kills {
        let (told, _) = start(engine, place, "churn", history.next, 0).kill_at_work(kill, || ());
        let opened = witness.is_none().then(|| open(engine, place).unwrap());
        let cache = witness.as_ref().or(opened.as_ref()).unwrap();
        history.check(cache, told..=told, &format!("{engine}, kill {kill}"));
    }
    assert!(history.next >= kills, "only {} changes: nobody was killed at work", history.next);
}

fn survives_cuts(test: &str, kind: &str) {
    let Some(mut disk) = Disk::make(test, kind) else { return };
    let mut history = History::default();
    for cut in 0..CUTS {
        let place = disk.path().join("cache").to_str().unwrap().to_owned();
        let worker = start("power", &place, "churn", history.next, 0);
        let (told, before) = worker.kill_at_work(cut, || disk.cut());
        disk.restart();
        let cache = open("power", &place).unwrap();
        history.check(&cache, before..=told, &format!("{kind}, cut {cut}"));
    }
    assert!(history.next >= CUTS, "only {} changes", history.next);
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
    fn check(&mut self, cache: &KvCache, told: RangeInclusive<u32>, moment: &str) {
        let report = cache.verify().unwrap();
        assert!(report.is_clean(), "{moment}: {report:?}");
        let keys = cache.keys().unwrap();
        let value = |key: String| (key.clone(), cache.get(&key).unwrap().hit().unwrap());
        let found: State = keys.into_iter().map(value).collect();
        (0..*told.start()).for_each(|_| self.follow());
        for _ in *told.start()..=*told.end() {
            if self.state == found {
                return;
            }
            self.follow();
        }
        let names: Vec<_> = found.iter().map(|(key, value)| (key, value.len())).collect();
        assert!(self.state == found, "{moment}, in change {}: {names:?}", self.next);
    }

    /// Makes the next change.
    fn follow(&mut self) {
        let (number, state) = (self.next, &mut self.state);
        match change(number) {
            Change::Set(key, len) => {
                state.insert(key, content(number, len));
            }
            Change::SetMany => state.extend(MANY.map(|key| (key.into(), content(number, LEN)))),
            Change::Insert(key) => {
                state.entry(key).or_insert_with(|| content(number, 50));
            }
            Change::Invalidate(key) => {
                state.remove(&key);
            }
            Change::Clear => state.clear(),
            Change::Count => {
                let sum = state.entry("sum".into()).or_insert_with(|| "0".into());
                *sum = (sum.parse::<u32>().unwrap() + 1).to_string();
            }
        }
        self.next += 1;
    }
}
