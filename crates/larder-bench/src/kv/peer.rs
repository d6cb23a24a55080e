//! The contenders that are written in Python, in one interpreter that lives for the whole run and times its own calls.

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    record::{BASES, record},
    task::{Contender, Task},
};
use crate::{Outcome, report::repository};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kv/peer.py");

/// The interpreter. It takes a line for each request and answers it with a line.
pub(super) struct Peer {
    child: Child,
    pipes: RefCell<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    /// Its packages with their versions.
    versions: String,
}

#[derive(Serialize)]
#[serde(tag = "request", rename_all = "snake_case")]
enum Request<'a> {
    Hello {
        bases: &'a str,
        /// As JSON, so that both sides are known to mean the same by the number 7 in version 3.
        sample: String,
    },
    Open {
        kind: &'a str,
        dir: &'a Path,
    },
    Run {
        store: usize,
        #[serde(flatten)]
        task: &'a Task,
    },
    Close {
        store: usize,
    },
}

impl Peer {
    /// None where the environment with the packages has not been made.
    pub(super) fn start() -> Outcome<Option<Self>> {
        let python = repository().join("target/peers/bin/python");
        if !python.exists() {
            return Ok(None);
        }
        let mut command = Command::new(python);
        command.arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        let mut peer = Self { child, pipes: RefCell::new(pipes), versions: String::new() };
        let sample = serde_json::to_string(&record(7, 3))?;
        peer.versions = peer.ask(&Request::Hello { bases: &BASES, sample })?;
        Ok(Some(peer))
    }

    pub(super) fn versions(&self) -> &str {
        &self.versions
    }

    /// Opens a store of this kind in an empty directory.
    pub(super) fn open(&self, kind: &str, dir: &Path) -> Outcome<Remote<'_>> {
        Ok(Remote { peer: self, store: self.ask(&Request::Open { kind, dir })? })
    }

    fn ask<T: DeserializeOwned>(&self, request: &Request<'_>) -> Outcome<T> {
        let mut pipes = self.pipes.borrow_mut();
        let (stdin, stdout) = pipes.as_mut().ok_or("the interpreter has no pipes")?;
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        stdin.write_all(line.as_bytes())?;
        line.clear();
        if stdout.read_line(&mut line)? == 0 {
            return Err("the Python peer has ended".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

/// Ends the interpreter, which does so at the end of its input.
impl Drop for Peer {
    fn drop(&mut self) {
        self.pipes.take();
        let _unheard = self.child.wait();
    }
}

/// A store in the interpreter.
pub(super) struct Remote<'a> {
    peer: &'a Peer,
    store: usize,
}

impl Contender for Remote<'_> {
    fn run(&mut self, task: &Task) -> Outcome<Vec<f64>> {
        let took: Vec<f64> = self.peer.ask(&Request::Run { store: self.store, task })?;
        Ok(took.into_iter().map(|nanoseconds| nanoseconds / 1e9).collect())
    }
}

impl Drop for Remote<'_> {
    fn drop(&mut self) {
        let _unheard = self.peer.ask::<()>(&Request::Close { store: self.store });
    }
}
