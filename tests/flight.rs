//! Work that is done once among processes, whatever happens to whoever leads.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, SystemTime},
};

use larder_storage::{Durability, Key, LocalStorage, Storage, StorageExt};

const LEASE: Duration = Duration::from_secs(1);

/// A worker and what it says.
struct Worker {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Worker {
    fn start(reach: &str, root: &Path, input: Stdio) -> Self {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_larder-worker"));
        worker.args(["flight", reach]).arg(root).arg(LEASE.as_millis().to_string());
        let mut process = worker.stdin(input).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    /// One that works as soon as it leads.
    fn follower(reach: &str, root: &Path) -> Self {
        let mut worker = Self::start(reach, root, Stdio::null());
        worker.expect("waiting");
        worker
    }

    /// One that leads and then waits for its input.
    fn leader(reach: &str, root: &Path) -> Self {
        let mut worker = Self::start(reach, root, Stdio::piped());
        worker.expect("waiting");
        worker.expect("leading");
        worker
    }

    fn expect(&mut self, step: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), step);
    }

    /// What it says from here to its end, which has to be a good one.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success(), "{rest}");
        rest
    }
}

fn published(root: &Path) -> (String, SystemTime) {
    let storage = LocalStorage::open(root, Durability::Process).unwrap();
    let key = Key::new("result").unwrap();
    let entry = storage.list(Some(&key)).unwrap().next().unwrap().unwrap();
    (storage.get_text(&key).unwrap().unwrap(), entry.modified)
}

fn a_killed_leader_hands_over(reach: &str, lease: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let mut leader = Worker::leader(reach, dir.path());
    let followers: Vec<_> = (0..15).map(|_| Worker::follower(reach, dir.path())).collect();
    leader.process.kill().unwrap();
    let killed = SystemTime::now();
    leader.process.wait().unwrap();

    let ids: Vec<_> = followers.iter().map(|follower| follower.process.id().to_string()).collect();
    let mut said: Vec<_> = followers.into_iter().map(Worker::rest).zip(ids).collect();
    said.sort();
    let (leading, id) = said.pop().unwrap();
    assert_eq!(leading, "leading\npublished\n");
    assert!(said.iter().all(|(said, _)| said == "found\n"), "{said:?}");
    let (result, when) = published(dir.path());
    assert_eq!(result, id);
    let took = when.duration_since(killed).unwrap_or_default();
    assert!(took <= lease + Duration::from_secs(1), "{reach}: published {took:?} after the kill");
}

#[test]
fn one_of_15_waiting_processes_does_the_work_of_a_killed_one_at_once_by_files() {
    a_killed_leader_hands_over("files", Duration::ZERO);
}

#[test]
fn one_of_15_waiting_processes_does_the_work_of_a_killed_one_after_its_lease_by_objects() {
    a_killed_leader_hands_over("objects", LEASE);
}

#[cfg(unix)]
#[test]
fn a_leader_that_was_stopped_past_its_lease_publishes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut leader = Worker::leader("objects", dir.path());
    let signal = |signal: &str| {
        let id = leader.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    };
    signal("-STOP");
    let follower = Worker::follower("objects", dir.path());
    let id = follower.process.id().to_string();
    assert_eq!(follower.rest(), "leading\npublished\n");
    signal("-CONT");
    leader.process.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    assert_eq!(leader.rest(), "refused\n");
    assert_eq!(published(dir.path()).0, id);
}
