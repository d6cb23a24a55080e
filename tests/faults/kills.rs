//! `kill -9` at any moment, on any machine: of a process that changes things, and of the next one that cleans up.

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
    time::{Duration, Instant},
};

use super::*;
use churn::{Change, LEAF, TREE, change, content};

#[path = "../worker/churn.rs"]
#[expect(dead_code, reason = "the worker makes the changes that are checked here")]
mod churn;

/// Of each of the two kinds of process.
const KILLS: u32 = 108;

#[test]
fn a_kill_at_any_moment_leaves_what_was_acknowledged_or_one_change_more() {
    let dir = tempfile::tempdir().unwrap();
    let (mut expected, mut next) = (State::new(), 0);
    for kill in 0..KILLS {
        let acknowledged = kill_at_work(dir.path(), next, kill);
        for _ in 0..acknowledged {
            follow(&mut expected, &mut next);
        }
        kill_while_opening(dir.path(), kill);
        let found = state(dir.path());
        if found != expected {
            follow(&mut expected, &mut next);
        }
        let names: Vec<_> = found.iter().map(|(key, bytes)| (key, bytes.len())).collect();
        assert!(found == expected, "kill {kill}, in change {next}: {names:?}");
    }
    assert!(next >= KILLS, "only {next} changes: nobody was killed at work");
}

/// Lets a process make some changes from the number `first` on, kills it a little later, and returns how many it told.
fn kill_at_work(root: &Path, first: u32, kill: u32) -> u32 {
    let mut worker = Command::new(worker());
    worker.arg("churn").arg(root).arg(first.to_string()).stdout(Stdio::piped());
    let mut process = worker.spawn().unwrap();
    let mut told = BufReader::new(process.stdout.take().unwrap());
    let changes = kill % 9;
    for _ in 0..changes {
        assert_eq!(told.read_line(&mut String::new()).unwrap(), 1, "the worker failed");
    }
    spin(Duration::from_micros(u64::from(kill / 9 * 25)));
    process.kill().unwrap();
    process.wait().unwrap();
    let mut rest = Vec::new();
    told.read_to_end(&mut rest).unwrap();
    changes + u32::try_from(rest.len()).unwrap()
}

/// Kills the process that sweeps what the one before left.
fn kill_while_opening(root: &Path, kill: u32) {
    let mut opener = Command::new(worker());
    opener.arg("change").arg(root).arg("open").stdout(Stdio::null());
    let mut process = opener.spawn().unwrap();
    // Starting takes about a millisecond.
    spin(Duration::from_micros(u64::from(500 + kill * 37 % KILLS * 25)));
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Waits for less than the system can sleep.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// What the change of the number `next` makes of a state.
fn follow(state: &mut State, next: &mut u32) {
    let number = *next;
    match change(number) {
        Change::Put(key, len) | Change::Upload(key, len) => {
            state.insert(key, content(number, len));
        }
        Change::Remove(key) => assert!(state.remove(&key).is_some()),
        Change::Publish(tree) => {
            let leaves = TREE.map(|name| (format!("{tree}/{name}"), content(number, LEAF)));
            state.extend(leaves);
        }
        Change::Discard(tree) => state.retain(|key, _| !key.starts_with(&format!("{tree}/"))),
    }
    *next += 1;
}
