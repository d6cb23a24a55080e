//! Other processes that run `larder-worker`, and what they say.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::power::Disk;

/// A worker and what it says.
pub(crate) struct Worker {
    process: Child,
    orders: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
}

impl Worker {
    /// The command that does this work.
    pub(crate) fn command(work: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder-worker"));
        command.args(work);
        command
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = process.stdin.take();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, orders, said }
    }

    pub(crate) fn order(&mut self, line: &str) {
        // A worker that has ended is told by what it says.
        let _ = writeln!(self.orders.as_mut().unwrap(), "{line}");
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The next line that it says, or nothing where it has ended.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, step: &str) {
        assert_eq!(self.hear(), step);
    }

    /// Ends what it waits for, now and later.
    pub(crate) fn let_go(&mut self) {
        self.orders = None;
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// What it says from here to its end, which has to be a good one.
    pub(crate) fn rest(mut self) -> String {
        self.let_go();
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success(), "{rest}");
        rest
    }

    /// Lets one that tells each change by an empty line make some, and after `end` kills it: in each round at another
    /// moment, after up to eight changes and a millisecond more. Returns how many it told, and how many of these before
    /// `end`.
    pub(crate) fn kill_at_work(mut self, round: u32, end: impl FnOnce()) -> (u32, u32) {
        let before = round % 9;
        for _ in 0..before {
            assert_eq!(self.said.read_line(&mut String::new()).unwrap(), 1, "the worker failed");
        }
        // Less than the system can sleep.
        let (start, time) = (Instant::now(), Duration::from_micros(u64::from(round / 9 % 40 * 25)));
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
        end();
        self.kill();
        let mut rest = Vec::new();
        self.said.read_to_end(&mut rest).unwrap();
        (before + u32::try_from(rest.len()).unwrap(), before)
    }

    /// As [`kill_at_work`](Self::kill_at_work), where the end is that of the power of the disk that it changes, which then
    /// comes back.
    pub(crate) fn cut_at_work(command: &mut Command, round: u32, disk: &mut Disk) -> (u32, u32) {
        // Its disk dies before it, of which it tells.
        let worker = Self::start(command.stderr(Stdio::null()));
        let heard = worker.kill_at_work(round, || disk.cut());
        disk.restart();
        heard
    }
}
