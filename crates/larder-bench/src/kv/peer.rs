//! The contenders that are written in Python.

use std::path::Path;

use serde::Serialize;

use super::{
    record::{BASES, record},
    task::{Contender, Task},
};
use crate::{Outcome, peer::Interpreter};

/// The interpreter, which knows the records.
pub(super) struct Peer {
    python: Interpreter,
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
        let Some(python) = Interpreter::start("kv/peer.py")? else { return Ok(None) };
        let sample = serde_json::to_string(&record(7, 3))?;
        let versions = python.ask(&Request::Hello { bases: &BASES, sample })?;
        Ok(Some(Self { python, versions }))
    }

    pub(super) fn versions(&self) -> &str {
        &self.versions
    }

    /// Opens a store of this kind in an empty directory.
    pub(super) fn open(&self, kind: &str, dir: &Path) -> Outcome<Remote<'_>> {
        Ok(Remote { peer: self, store: self.python.ask(&Request::Open { kind, dir })? })
    }
}

/// A store in the interpreter.
pub(super) struct Remote<'a> {
    peer: &'a Peer,
    store: usize,
}

impl Contender for Remote<'_> {
    fn run(&mut self, task: &Task) -> Outcome<Vec<f64>> {
        self.peer.python.time(&Request::Run { store: self.store, task })
    }
}

impl Drop for Remote<'_> {
    fn drop(&mut self) {
        let _unheard = self.peer.python.ask::<()>(&Request::Close { store: self.store });
    }
}
