//! `kill -9` and power cuts at any moment: each change is made or not, the index agrees with the storage, and what was
//! acknowledged is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use larder::provenance::State;
use larder_storage::{Digest, Durability};

use super::changes::{Change, Store, change, content, open, parent};
use crate::{
    history::{self, History},
    power::in_stages,
};

#[test]
fn four_hundred_kills_at_any_moment_lose_no_result_and_leave_no_half() {
    history::survives_kills::<Results>(400);
}

#[test]
fn a_power_cut_loses_no_result_on_ext4() {
    history::survives_cuts::<Results>("power cuts of results on ext4", "ext4", 40);
}

#[test]
fn a_power_cut_loses_no_result_on_xfs() {
    history::survives_cuts::<Results>("power cuts of results on xfs", "xfs", 40);
}

/// A record as it should be.
#[derive(Clone, Debug)]
struct Known {
    state: State,
    version: u32,
    /// The version of what it was made from.
    seen: Option<u32>,
    pinned: bool,
    tags: BTreeSet<String>,
}

/// What there is of a record.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    state: State,
    payload: Digest,
    pinned: bool,
    tags: BTreeSet<String>,
}

/// The results by name; those without provenance by the number of the change that stored them.
#[derive(Clone, Default)]
pub(super) struct Results {
    known: BTreeMap<&'static str, Known>,
    added: BTreeSet<u32>,
    next: u32,
}

impl History for Results {
    const WORK: &str = "provenance";
    type Store = Store;
    type State = BTreeMap<String, Found>;

    fn open(place: &Path, durability: Durability) -> Store {
        open(place, durability).unwrap()
    }

    fn find(&self, store: &Store, place: &Path, moment: &str) -> Self::State {
        assert_eq!(in_stages(place), [] as [PathBuf; 0], "{moment}: opening sweeps the stage");
        let report = store.verify().unwrap();
        assert!(report.is_clean(), "{moment}, as it was opened: {report:?}");
        assert_eq!(store.refresh().unwrap().problems, [], "{moment}");
        let indexed = listed(store, moment);
        let read = store.reindex().unwrap();
        assert_eq!((read.read, &*read.problems), (indexed.len() as u64, &[][..]), "{moment}");
        assert_eq!(listed(store, moment), indexed, "{moment}: the storage has other records");
        indexed
    }

    fn state(&self) -> Self::State {
        let known = self.known.iter().map(|(name, known)| {
            let payload = Digest::of(&content(name, known.version));
            let Known { state, pinned, tags, .. } = known.clone();
            ((*name).to_owned(), Found { state, payload, pinned, tags })
        });
        let added = self.added.iter().map(|number| {
            let payload = Digest::of(&content("added", *number));
            let (state, pinned, tags) = (State::Live, false, BTreeSet::new());
            (payload.to_string(), Found { state, payload, pinned, tags })
        });
        known.chain(added).collect()
    }

    fn next(&self) -> u32 {
        self.next
    }

    fn follow(&mut self) {
        match change(self.next) {
            Change::Compute(name, version) | Change::Put(name, version) => {
                self.compute(name, version);
            }
            Change::Add(number) => _ = self.added.insert(number),
            Change::Drop(number) => assert!(self.added.remove(&number)),
            Change::Delete(name) => _ = self.known.remove(name).expect("it is there"),
            Change::Invalidate(name) => {
                self.known(name).state = State::Invalid;
                self.doubt_children(name);
            }
            Change::Collect => self.collect(),
            Change::Pin(name, pinned) => self.known(name).pinned = pinned,
            Change::Tag(name, tag) => _ = self.known(name).tags.insert(tag),
            Change::Merge(version) => self.compute("merged", version),
            Change::Refresh | Change::Reindex => {}
        }
        self.next += 1;
    }
}

/// Every record, each of which is whole.
fn listed(store: &Store, moment: &str) -> BTreeMap<String, Found> {
    let report = store.verify().unwrap();
    assert!(report.is_clean(), "{moment}: {report:?}");
    let mut found = BTreeMap::new();
    for record in store.records() {
        let record = record.unwrap();
        let payload = record.payload;
        let name =
            record.provenance.map_or_else(|| payload.to_string(), |it| it.operation().into());
        let is = Found { state: record.state, payload, pinned: record.pinned, tags: record.tags };
        assert!(found.insert(name, is).is_none(), "{moment}: {} is there twice", record.id);
    }
    found
}

impl Results {
    fn known(&mut self, name: &str) -> &mut Known {
        self.known.get_mut(name).expect("it is there")
    }

    fn version(&self, name: &str) -> u32 {
        self.known[name].version
    }

    fn compute(&mut self, name: &'static str, version: u32) {
        self.settle(name);
        let before = self.known.get(name).cloned();
        if before.as_ref().is_some_and(|known| known.state == State::Live) {
            return;
        }
        let seen = parent(name).map(|parent| self.version(parent));
        let (pinned, tags) =
            before.as_ref().map_or_else(Default::default, |it| (it.pinned, it.tags.clone()));
        self.known.insert(name, Known { state: State::Live, version, seen, pinned, tags });
        if before.is_some_and(|known| known.version != version) {
            self.doubt_children(name);
        }
    }

    /// A doubtful result is live after all where what it was made from is as it was; whether it can be relied on.
    fn settle(&mut self, name: &str) -> bool {
        let Some(known) = self.known.get(name).cloned() else { return false };
        match known.state {
            State::Live | State::Collected => return true,
            State::Doubtful => {}
            _ => return false,
        }
        let is_live =
            parent(name).is_none_or(|it| known.seen == Some(self.version(it)) && self.settle(it));
        if is_live {
            self.known(name).state = State::Live;
        }
        is_live
    }

    fn doubt_children(&mut self, name: &str) {
        let children = ["b", "c", "merged"].into_iter().filter(|it| parent(it) == Some(name));
        for child in children {
            let Some(known) = self.known.get_mut(child) else { continue };
            known.state = match known.state {
                State::Live => State::Doubtful,
                State::Collected => State::Invalid,
                _ => continue,
            };
            self.doubt_children(child);
        }
    }

    fn collect(&mut self) {
        for known in self.known.values_mut().filter(|known| !known.pinned) {
            known.state = match known.state {
                State::Live => State::Collected,
                State::Doubtful => State::Invalid,
                state => state,
            };
        }
    }
}
