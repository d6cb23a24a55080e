//! Work that is done once among processes, whatever happens to whoever leads.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use larder_storage::{Key, StorageExt, open_with};

use crate::servers::{options, server};

const LEASE: Duration = Duration::from_secs(1);

/// Where the work is to be done, and what a client of that storage has to know.
struct Place {
    url: String,
    settings: Vec<(&'static str, String)>,
}

impl Place {
    fn local(dir: &Path) -> Self {
        Self { url: format!("file://{}", dir.display()), settings: Vec::new() }
    }

    fn published(&self) -> String {
        let options = options(self.settings.clone()).probe(false);
        let storage = open_with(&self.url, &options).unwrap();
        storage.get_text(&Key::new("result").unwrap()).unwrap().unwrap()
    }
}

/// A worker and what it says.
struct Worker {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Worker {
    fn start(reach: &str, place: &Place, input: Stdio) -> Self {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_larder-worker"));
        worker.args(["flight", reach, &place.url, &LEASE.as_millis().to_string()]);
        worker.envs(place.settings.iter().map(|(name, value)| (name.to_uppercase(), value)));
        let mut process = worker.stdin(input).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    /// One that works as soon as it leads.
    fn follower(reach: &str, place: &Place) -> Self {
        let mut worker = Self::start(reach, place, Stdio::null());
        worker.expect("waiting");
        worker
    }

    /// One that leads and then waits for its input.
    fn leader(reach: &str, place: &Place) -> Self {
        let mut worker = Self::start(reach, place, Stdio::piped());
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

fn a_killed_leader_hands_over(reach: &str, place: &Place, followers: usize, lease: Duration) {
    let mut leader = Worker::leader(reach, place);
    let followers: Vec<_> = (0..followers).map(|_| Worker::follower(reach, place)).collect();
    leader.process.kill().unwrap();
    let killed = Instant::now();
    leader.process.wait().unwrap();

    // Whoever does the work ends right after it.
    let mut said: Vec<_> = thread::scope(|scope| {
        let end = |it: Worker| (it.process.id().to_string(), it.rest(), killed.elapsed());
        let ends: Vec<_> = followers.into_iter().map(|it| scope.spawn(move || end(it))).collect();
        ends.into_iter().map(|end| end.join().unwrap()).collect()
    });
    let leading = said.iter().position(|(_, said, _)| said == "leading\npublished\n");
    let (id, _, took) = said.swap_remove(leading.expect("one publishes"));
    assert!(said.iter().all(|(_, said, _)| said == "found\n"), "{said:?}");
    assert_eq!(place.published(), id);
    assert!(took <= lease + Duration::from_secs(1), "{reach}: published {took:?} after the kill");
}

#[test]
fn one_of_15_waiting_processes_does_the_work_of_a_killed_one_at_once_by_files() {
    let dir = tempfile::tempdir().unwrap();
    a_killed_leader_hands_over("files", &Place::local(dir.path()), 15, Duration::ZERO);
}

#[test]
fn one_of_15_waiting_processes_does_the_work_of_a_killed_one_after_its_lease_by_objects() {
    let dir = tempfile::tempdir().unwrap();
    a_killed_leader_hands_over("objects", &Place::local(dir.path()), 15, LEASE);
}

#[test]
fn one_of_3_waiting_processes_does_the_work_of_a_killed_one_after_its_lease_on_a_server() {
    let Some(server) = server("SeaweedFS", "single-flight among processes") else { return };
    let place = Place { url: server.url("flights"), settings: server.settings() };
    a_killed_leader_hands_over("objects", &place, 3, LEASE);
}

#[cfg(unix)]
#[test]
fn a_leader_that_was_stopped_past_its_lease_publishes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::local(dir.path());
    let mut leader = Worker::leader("objects", &place);
    let signal = |signal: &str| {
        let id = leader.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    };
    signal("-STOP");
    let follower = Worker::follower("objects", &place);
    let id = follower.process.id().to_string();
    assert_eq!(follower.rest(), "leading\npublished\n");
    signal("-CONT");
    leader.process.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    assert_eq!(leader.rest(), "refused\n");
    assert_eq!(place.published(), id);
}
