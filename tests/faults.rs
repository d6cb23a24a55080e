//! Faults of the operating system at every step: kills, failing flushes, full and read-only disks, no descriptors.

mod flushed;
mod kills;
#[cfg(unix)]
mod locks;
mod mounts;
mod steps;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use larder_storage::{Durability, Key, LocalStorage, PutIf, Storage};

pub(crate) use mounts::{Tmpfs, once_there_is_room};

use crate::{
    power::staged,
    support::{not_possible, skip, text},
};

/// What `larder-worker change` can do.
pub(crate) const CHANGES: [&str; 8] =
    ["open", "put", "replace", "deep", "remove", "upload", "publish", "discard"];

/// Every object below a root.
pub(crate) type State = BTreeMap<String, Vec<u8>>;

/// The state that each change starts from.
pub(crate) fn prepare(root: &Path) -> State {
    let storage = LocalStorage::open(root, Durability::Power).unwrap();
    for key in ["old/a", "old/deep/b", "old/large", "trees/old/one", "trees/old/deep/two"] {
        storage.put(&Key::new(key).unwrap(), vec![b'o'; 9000].into(), PutIf::Always).unwrap();
    }
    drop(storage);
    state(root)
}

/// What the next process finds, and that it leaves nothing staged.
pub(crate) fn state(root: &Path) -> State {
    let storage = LocalStorage::open(root, Durability::Power).unwrap();
    assert_eq!(staged(root), [] as [PathBuf; 0], "opening sweeps the stage");
    let keys: Vec<_> = storage.list(None).unwrap().map(|entry| entry.unwrap().key).collect();
    let read = |key: &Key| storage.get(key).unwrap().unwrap().into_bytes().into();
    keys.iter().map(|key| (key.to_string(), read(key))).collect()
}

/// The state after a change that meets no fault.
pub(crate) fn changed(root: &Path, what: &str) -> State {
    prepare(root);
    let mut command = Command::new(worker());
    let output = command.arg("change").arg(root).arg(what).output().unwrap();
    assert!(is_done(&output), "{what}");
    state(root)
}

pub(crate) fn worker() -> &'static str {
    env!("CARGO_BIN_EXE_larder-worker")
}

/// Whether the change was acknowledged.
pub(crate) fn is_done(output: &Output) -> bool {
    output.stdout == b"done\n"
}

/// Runs a change under strace; `None`, and `test` counted as skipped, where there is none that works.
pub(crate) fn strace(test: &str, options: &[&str], root: &Path, what: &str) -> Option<Output> {
    traced(test, options, ["change", root.to_str().unwrap(), what])
}

/// The calls that change something, as the machines of today name them; `?` where some do not have one. One at a time, as
/// strace counts each by itself.
pub(crate) const CALLS: [&str; 11] = [
    "?mkdir,?mkdirat",
    "write",
    "pwrite64",
    "ftruncate",
    "?rename,?renameat,?renameat2",
    "?unlink",
    "?unlinkat",
    "?rmdir",
    "utimensat",
    "flock",
    "?fallocate",
];

/// Kills a worker before its first call of `calls`, its second, and so on until it meets none. `work` makes ready for each
/// and says what to do; `check` is told which it was, and whether the work was acknowledged. Returns the number of
/// kills, `None` where skipped.
pub(crate) fn kill_at_each<Work: IntoIterator<Item: AsRef<OsStr>>>(
    test: &str,
    calls: &str,
    mut work: impl FnMut(u32) -> Work,
    mut check: impl FnMut(u32, bool),
) -> Option<u32> {
    for nth in 1.. {
        let inject = format!("inject={calls}:signal=KILL:when={nth}");
        let trace = format!("trace={calls}");
        let output = traced(test, &["-o", "/dev/null", "-e", &trace, "-e", &inject], work(nth))?;
        let done = is_done(&output);
        check(nth, done);
        if output.status.success() {
            assert!(done);
            return Some(nth - 1);
        }
    }
    None
}

/// Runs a worker under strace; `None`, and `test` counted as skipped, where there is none that works.
pub(crate) fn traced(
    test: &str,
    options: &[&str],
    work: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Option<Output> {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-s", "0"]).args(options);
    command.arg(worker()).args(work);
    match command.output() {
        Ok(output) if !text(&output.stderr).contains("PTRACE") => Some(output),
        Ok(_) => {
            not_possible(test, "strace may not trace: processes here have no right to ptrace");
            None
        }
        Err(error) => {
            skip(test, &format!("no strace, install the package of that name: {error}"));
            None
        }
    }
}

#[test]
fn a_process_without_free_file_descriptors_says_so_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 32; exec \"$@\"", "sh", worker(), "exhaust"]).arg(dir.path());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = state(dir.path());
    assert_eq!(found["old/a"], [b'o'; 9000]);
    assert_eq!(found.len(), 7, "five, the one before and the one after");
}
