//! A kill before each call of the operating system that changes something, in every kind of change.

use std::{fs, path::Path, process::Command, thread};

use larder_storage::Durability;

use super::{
    changes::{ROUND, carry_out, change},
    kills::Results,
};
use crate::{
    faults::{CALLS, kill_at_each},
    history::History,
};

/// One change of each kind, by their places in a round, in which `a` and `b` come out otherwise than before, and the
/// reindexing of the next round.
const CHANGES: [u32; 12] = [0, 3, 4, 5, 6, 7, 8, 11, 13, 14, 15, ROUND + 14];
const FIRST: u32 = 3 * ROUND;

/// A store before each of these.
fn prepare(dir: &Path) -> Vec<Results> {
    let place = dir.join("now");
    let mut history = Results::default();
    let mut before = Vec::new();
    for number in 0..FIRST + 2 * ROUND {
        if number.checked_sub(FIRST).is_some_and(|number| CHANGES.contains(&number)) {
            copy(&place, &dir.join(number.to_string()));
            before.push(history.clone());
        }
        // Nobody has it open while it is copied.
        carry_out(&Results::open(&place, Durability::Scratch), number).unwrap();
        history.follow();
    }
    before
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// Kills the next change at all its calls; how often, or `None` where strace may not be used.
fn survives(dir: &Path, before: &Results) -> Option<u32> {
    let number = before.next();
    let template = dir.join(number.to_string());
    let place = dir.join(format!("{number}-killed"));
    let work = ["provenance", "change", place.to_str().unwrap(), &number.to_string()];
    let mut kills = 0;
    for calls in CALLS {
        let fresh = |_| {
            copy(&template, &place);
            work
        };
        let check = |nth, done| {
            let moment =
                format!("{:?} killed at {calls} {nth}, acknowledged: {done}", change(number));
            let told = u32::from(done);
            let store = Results::open(&place, Durability::Process);
            before.clone().check(&store, &place, told..=told, &moment);
            drop(store);
            fs::remove_dir_all(&place).unwrap();
        };
        kills += kill_at_each("kill -9 of changes of results", calls, fresh, check)?;
    }
    Some(kills)
}

#[test]
fn a_kill_at_any_call_of_any_change_leaves_it_made_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let before = prepare(dir.path());
    let dir = dir.path();
    let kills = thread::scope(|scope| {
        let lanes = [0, 1].map(|lane| {
            let before = before.iter().skip(lane).step_by(2);
            scope.spawn(move || before.map(|it| survives(dir, it)).sum::<Option<u32>>())
        });
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum::<Option<u32>>()
    });
    let Some(kills) = kills else { return };
    assert!(kills >= 200, "only {kills} kills: does strace still know the calls?");
}
