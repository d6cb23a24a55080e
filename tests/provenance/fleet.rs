//! Machines that share a bucket, each with an index of its own.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{ask, one_led, the_same};
use crate::{
    servers::{Server, on_each_server},
    workers::Worker,
};

/// The machines of a fleet on one server.
struct Fleet<'a> {
    server: &'a Server,
    url: String,
    indexes: TempDir,
}

impl<'a> Fleet<'a> {
    fn new(server: &'a Server, prefix: &str) -> Self {
        server.open(prefix);
        Self { server, url: server.url(prefix), indexes: tempfile::tempdir().unwrap() }
    }

    fn index(&self, machine: u32) -> PathBuf {
        self.indexes.path().join(machine.to_string())
    }

    /// A process on this machine that waits to ask for the cold result.
    fn start(&self, machine: u32) -> Worker {
        let index = self.index(machine);
        let mut command = Worker::command(&["provenance-on", &self.url, index.to_str().unwrap()]);
        let settings = self.server.settings().into_iter();
        command.envs(settings.map(|(name, value)| (name.to_uppercase(), value)));
        let mut worker = Worker::start(&mut command);
        worker.expect("waiting");
        worker
    }

    /// A machine that comes later finds this, and computes nothing.
    fn is_reused(&self, answer: &str) {
        let said = ask(vec![self.start(9)]);
        assert_eq!(the_same(said.iter().map(String::as_str)), answer);
    }
}

#[test]
fn four_machines_on_one_bucket_compute_one_result_once() {
    on_each_server("one computation in a fleet", |server| {
        let fleet = Fleet::new(server, "provenance-fleet");
        let answer = one_led(&ask((0..4).map(|machine| fleet.start(machine)).collect()));
        fleet.is_reused(&answer);
    });
}

#[test]
fn one_of_three_machines_computes_what_a_killed_one_was_computing() {
    on_each_server("a leader of a fleet that is killed", |server| {
        let fleet = Fleet::new(server, "provenance-killed");
        let mut leader = fleet.start(0);
        leader.order("start");
        leader.expect("leading");
        let others: Vec<_> = (1..4).map(|machine| fleet.start(machine)).collect();
        leader.kill();
        let answer = one_led(&ask(others));
        fleet.is_reused(&answer);
    });
}
