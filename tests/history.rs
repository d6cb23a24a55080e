//! Kills and power cuts at any moment of an endless row of changes, each of which follows from its number alone: what was
//! acknowledged is there, with one change more or without it.

use std::{fmt::Debug, ops::RangeInclusive, path::Path, process::Command, thread, time::Duration};

use larder_storage::Durability;

use crate::{power::Disk, workers::Worker};

/// How many stores there are whose processes are killed, at once.
const LANES: u32 = 2;

/// The changes of one store that are known to be done.
pub(crate) trait History: Default {
    /// What the worker is to work on, as it is told.
    const WORK: &str;
    type Store;
    type State: Debug + PartialEq;

    fn open(place: &Path, durability: Durability) -> Self::Store;

    /// What is there; fails where anything is torn or left over.
    fn find(&self, store: &Self::Store, place: &Path, moment: &str) -> Self::State;

    /// What should be there.
    fn state(&self) -> Self::State;

    /// The number of the next change.
    fn next(&self) -> u32;

    /// Makes the next change.
    fn follow(&mut self);

    /// Looks for the number of changes that were done: as many as `told` says, or one more that nobody heard of.
    fn check(
        &mut self,
        store: &Self::Store,
        place: &Path,
        told: RangeInclusive<u32>,
        moment: &str,
    ) {
        let found = self.find(store, place, moment);
        (0..*told.start()).for_each(|_| self.follow());
        for _ in told {
            if self.state() == found {
                return;
            }
            self.follow();
        }
        assert_eq!(self.state(), found, "{moment}, in change {}", self.next());
    }
}

/// The command of a worker that makes one change after the other from that of the number `first` on.
fn churn<H: History>(what: &str, place: &Path, first: u32) -> Command {
    Worker::command(&[H::WORK, what, place.to_str().unwrap(), &first.to_string()])
}

/// Kills processes at work, in the first store while a witness has it open all the time, who has to see the same as who
/// opens it now.
pub(crate) fn survives_kills<H: History>(kills: u32) {
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || survives_kills_in_lane::<H>(kills / LANES, lane == 0));
        }
    });
}

fn survives_kills_in_lane<H: History>(kills: u32, has_witness: bool) {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path();
    let witness = has_witness.then(|| H::open(place, Durability::Process));
    let mut history = H::default();
    for kill in 0..kills {
        let worker = Worker::start(&mut churn::<H>("churn", place, history.next()));
        // Some changes take several milliseconds.
        let later = Duration::from_micros(u64::from(kill * 7919 % 5000));
        let (told, _) = worker.kill_at_work(kill, || thread::sleep(later));
        let store = H::open(place, Durability::Process);
        history.check(&store, place, told..=told, &format!("kill {kill}"));
        if let Some(witness) = &witness {
            let moment = format!("kill {kill}, seen by the witness");
            assert_eq!(history.find(witness, place, &moment), history.state(), "{moment}");
        }
    }
    assert!(history.next() >= kills, "only {} changes: nobody was killed at work", history.next());
}

/// Cuts the power of a disk while a process is at work on it.
pub(crate) fn survives_cuts<H: History>(test: &str, kind: &str, cuts: u32) {
    let Some(mut disk) = Disk::make(test, kind) else { return };
    let mut history = H::default();
    for cut in 0..cuts {
        let place = disk.path().join("store");
        let mut worker = churn::<H>("churn-at-power", &place, history.next());
        let (told, before) = Worker::cut_at_work(&mut worker, cut, &mut disk);
        let store = H::open(&place, Durability::Power);
        history.check(&store, &place, before..=told, &format!("{kind}, cut {cut}"));
    }
    assert!(history.next() >= cuts, "only {} changes", history.next());
}
