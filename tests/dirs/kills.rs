//! `kill -9` and power cuts at any moment: what was acknowledged is there whole, and what was removed is not there in part.

use std::{ops::RangeInclusive, thread};

use larder_storage::{Durability, publish::Stage};

use super::{
    changes::{Change, MODEL, change, content, open_to_change},
    *,
};
use crate::power::Disk;

/// Of processes that build, use, pin, write in place, evict and remove.
const KILLS: u32 = 300;
/// How many caches are killed at once.
const LANES: u32 = 2;
/// Power cuts, on each file system.
const CUTS: u32 = 40;

#[test]
fn three_hundred_kills_at_any_moment_leave_what_was_acknowledged_or_one_change_more() {
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || survives_kills(KILLS / LANES, lane == 0));
        }
    });
}

#[test]
fn a_power_cut_leaves_no_half_entry_on_ext4() {
    survives_cuts("power cuts of directories on ext4", "ext4");
}

#[test]
fn a_power_cut_leaves_no_half_entry_on_xfs() {
    survives_cuts("power cuts of directories on xfs", "xfs");
}

/// Where there is a witness it has the cache open all the time, and tidies up by its cycles.
fn survives_kills(kills: u32, has_witness: bool) {
    let dir = tempfile::tempdir().unwrap();
    let open = || open_to_change(dir.path(), Durability::Process).unwrap();
    let witness = has_witness.then(open);
    let mut history = History::default();
    for kill in 0..kills {
        let (told, _) = start("churn", dir.path(), history.next).kill_at_work(kill, || ());
        let opened = witness.is_none().then(open);
        let cache = witness.as_ref().or(opened.as_ref()).unwrap();
        cache.run_once().unwrap();
        let moment = format!("kill {kill}");
        history.check(cache, told..=told, &moment);
        assert_sound_but(cache, matches!(change(history.next), Change::Model(_)), &moment);
    }
    assert!(history.next >= kills, "only {} changes: nobody was killed at work", history.next);
}

/// Nobody has measured a model in which a killed process wrote: a recount has to.
fn assert_sound_but(cache: &DirCache, model_is_unmeasured: bool, moment: &str) {
    let before = cache.status().unwrap();
    assert_eq!((before.unfinished, before.used), (0, before.size), "{moment}: {before:?}");
    if model_is_unmeasured {
        cache.recount().unwrap();
    }
    let size = cache.status().unwrap().size;
    // What other processes have staged goes when the next one opens the cache.
    Stage::sweep(cache.root()).unwrap();
    assert_sound(cache, moment);
    assert_eq!(cache.status().unwrap().size, size, "{moment}: a recount finds another size");
}

fn survives_cuts(test: &str, kind: &str) {
    let Some(mut disk) = Disk::make(test, kind) else { return };
    let mut history = History { is_cut: true, ..History::default() };
    for cut in 0..CUTS {
        let root = disk.path().join("root");
        let mut worker = command("churn-at-power", &root, history.next);
        let (told, before) = Worker::cut_at_work(&mut worker, cut, &mut disk);
        let cache = open_to_change(&root, Durability::Power).unwrap();
        let moment = format!("{kind}, cut {cut}");
        history.check(&cache, before..=told, &moment);
        assert_sound(&cache, &moment);
    }
    assert!(history.next >= CUTS, "only {} changes", history.next);
}

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Known {
    /// The number of the change that wrote what is in it; none where a model was never written to the end.
    wrote: Option<u32>,
    pinned: bool,
    accesses: u64,
}

type State = BTreeMap<String, Known>;

/// The changes that are known to be done.
#[derive(Default)]
struct History {
    state: State,
    /// The keys in the order in which they were built.
    order: Vec<String>,
    /// The number of the next change.
    next: u32,
    /// Whether the power is cut, which may cost counts of accesses, and no model is written.
    is_cut: bool,
}

impl History {
    /// What is there; fails where an entry is not whole.
    fn find(&self, cache: &DirCache, moment: &str) -> State {
        let known = |entry: larder::dir_cache::EntryInfo| {
            let dir = cache.root().join(&entry.key);
            let wrote = match entry.key.starts_with("models/") {
                true => model_of(&dir),
                false => Some(number_of(&dir).unwrap_or_else(|why| panic!("{moment}: {why}"))),
            };
            let accesses = if self.is_cut { 0 } else { entry.access_count };
            (entry.key, Known { wrote, pinned: entry.pinned, accesses })
        };
        cache.entries().unwrap().into_iter().map(known).collect()
    }

    /// Looks for the number of changes that were done: as many as `told` says, or one more that nobody heard of.
    fn check(&mut self, cache: &DirCache, told: RangeInclusive<u32>, moment: &str) {
        let found = self.find(cache, moment);
        (0..*told.start()).for_each(|_| self.follow());
        for _ in *told.start()..=*told.end() {
            self.take_over_model(&found);
            if self.state == found {
                return;
            }
            self.follow();
        }
        assert_eq!(self.state, found, "{moment}, in change {} {:?}", self.next, change(self.next));
    }

    /// A model that is being written is there or not, as it was or as it will be.
    fn take_over_model(&mut self, found: &State) {
        let Change::Model(key) = change(self.next) else { return };
        let Some(now) = found.get(&key).filter(|_| !self.is_cut) else { return };
        let before = self.state.insert(key.clone(), *now);
        let steps = now.accesses - before.map_or(0, |before| before.accesses);
        assert!(
            steps <= 1
                && (now.wrote == before.and_then(|it| it.wrote) || now.wrote == Some(self.next))
        );
        if before.is_none() {
            self.order.push(key);
        }
    }

    /// Makes the next change.
    fn follow(&mut self) {
        match change(self.next) {
            Change::Build(key) => self.access(key, true),
            Change::Get(key) => self.access(key, false),
            Change::Model(_) if self.is_cut => {}
            Change::Model(key) => {
                self.access(key.clone(), true);
                self.state.get_mut(&key).unwrap().wrote = Some(self.next);
            }
            Change::Remove(key) => self.remove(&key),
            Change::Pin(key, pinned) => {
                self.state.entry(key).and_modify(|known| known.pinned = pinned);
            }
            Change::Evict(key) => {
                let stays = self.state.len() < 2
                    || self.order.last() == Some(&key)
                    || self.state.get(&key).is_none_or(|known| known.pinned);
                if !stays {
                    self.remove(&key);
                }
            }
            Change::Cycle => {}
        }
        self.next += 1;
    }

    fn access(&mut self, key: String, builds: bool) {
        let count = u64::from(!self.is_cut);
        if let Some(known) = self.state.get_mut(&key) {
            known.accesses += count;
        } else if builds {
            self.order.push(key.clone());
            self.state
                .insert(key, Known { wrote: Some(self.next), pinned: false, accesses: count });
        }
    }

    fn remove(&mut self, key: &str) {
        self.state.remove(key);
        self.order.retain(|other| other != key);
    }
}

/// Who wrote a model last; nobody where none came to the end of the first time.
fn model_of(dir: &Path) -> Option<u32> {
    let found = fs::read(dir.join(MODEL.0)).ok()?;
    let number = u32::from_le_bytes(*found.first_chunk()?);
    assert_eq!(found, content(number, MODEL.1), "{} is torn", dir.display());
    Some(number)
}
