//! How much memory a process of its own takes for a task.

use std::{
    env, fs, io,
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use serde::Serialize;

use crate::{Outcome, array, shards};

/// The first argument of such a process; the others are the benchmark that it is for, and its task.
pub(crate) const CHILD: &str = "--peak";

/// The most bytes of anonymous memory that were resident while a process did this task of a benchmark.
pub(crate) fn of(benchmark: &str, task: &impl Serialize) -> Outcome<f64> {
    let mut command = Command::new(env::current_exe()?);
    command.args([CHILD, benchmark, &serde_json::to_string(task)?]);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the process whose memory is measured has failed".into());
    }
    Ok(str::from_utf8(&output.stdout)?.trim().parse()?)
}

/// Does the task and prints the peak.
pub(crate) fn child(benchmark: &str, task: &str) -> Outcome {
    let (done, running) = mpsc::channel();
    let watcher = thread::spawn(move || watch(&running));
    match benchmark {
        "array" => array::child(task)?,
        _ => shards::child(task)?,
    }
    drop::<mpsc::Sender<()>>(done);
    println!("{}", watcher.join().map_err(|_| "the watcher has panicked")??);
    Ok(())
}

/// The peak until the other end of the channel is dropped.
fn watch(running: &Receiver<()>) -> io::Result<u64> {
    let mut peak = 0;
    loop {
        peak = peak.max(anonymous()?);
        if running.recv_timeout(Duration::from_millis(1)) != Err(RecvTimeoutError::Timeout) {
            return Ok(peak);
        }
    }
}

/// Bytes of anonymous memory of this process that are resident.
fn anonymous() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let found = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix("kB"));
    let kibibytes: Option<u64> = found.and_then(|figure| figure.trim().parse().ok());
    Ok(kibibytes.ok_or_else(|| io::Error::other("the system does not tell RssAnon"))? * 1024)
}
