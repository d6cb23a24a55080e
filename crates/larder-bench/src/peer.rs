//! Contenders that are written in Python, in one interpreter that lives for the whole run and times its own calls.

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Outcome, report::repository};

/// A script of this crate as it runs. It takes a line for each request and answers it with a line.
pub(crate) struct Interpreter {
    child: Child,
    pipes: RefCell<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Interpreter {
    /// Starts the script at `path` within the sources. None where the environment with the packages has not been made.
    pub(crate) fn start(path: &str) -> Outcome<Option<Self>> {
        let python = repository().join("target/peers/bin/python");
        if !python.exists() {
            return Ok(None);
        }
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut command = Command::new(python);
        command.arg("-B").arg(sources.join(path)).env("PYTHONPATH", sources.join("peer"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        Ok(Some(Self { child, pipes: RefCell::new(pipes) }))
    }

    pub(crate) fn ask<T: DeserializeOwned>(&self, request: &impl Serialize) -> Outcome<T> {
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

    /// What the calls that are asked for took, in seconds.
    pub(crate) fn time(&self, request: &impl Serialize) -> Outcome<Vec<f64>> {
        let took: Vec<f64> = self.ask(request)?;
        Ok(took.into_iter().map(|nanoseconds| nanoseconds / 1e9).collect())
    }
}

/// Ends the interpreter, which does so at the end of its input.
impl Drop for Interpreter {
    fn drop(&mut self) {
        self.pipes.take();
        let _unheard = self.child.wait();
    }
}
