//! The lookup cache shared: by many processes, by processes that are killed, by Python.

mod compute;
mod crowd;
mod kills;
mod python;

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

#[path = "worker/kv_changes.rs"]
mod changes;

/// A worker and what it says.
struct Worker {
    process: Child,
    orders: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
}

impl Worker {
    /// One that does `what` with the cache at `place`.
    fn start(engine: &str, place: &str, what: &str, number: u32, times: u32) -> Self {
        Self::start_with(engine, place, what, number, times, &[])
    }

    /// As [`start`](Self::start), for a server with these settings.
    fn start_with(
        engine: &str,
        place: &str,
        what: &str,
        number: u32,
        times: u32,
        settings: &[(&str, String)],
    ) -> Self {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_larder-worker"));
        worker.args(["kv", engine, place, what, &number.to_string(), &times.to_string()]);
        if engine == "power" {
            // Its disk dies before it.
            worker.stderr(Stdio::null());
        }
        worker.envs(settings.iter().map(|(name, value)| (name.to_uppercase(), value)));
        let mut process = worker.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = process.stdin.take();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, orders, said }
    }

    fn order(&mut self, line: &str) {
        // A worker that has ended is told by what it says.
        let _ = writeln!(self.orders.as_mut().unwrap(), "{line}");
    }

    fn expect(&mut self, step: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), step);
    }

    /// Ends what it waits for, now and later.
    fn let_go(&mut self) {
        self.orders = None;
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// What it says from here to its end, which has to be a good one.
    fn rest(mut self) -> String {
        self.let_go();
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success(), "{rest}");
        rest
    }
}
