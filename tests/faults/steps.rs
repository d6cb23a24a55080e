//! A kill or an error at each call of the operating system that changes something.

use super::*;
use crate::power::Disk;

/// The calls that change something, as the machines of today name them; `?` where some do not have one.
const CALLS: [&str; 7] = [
    "?mkdir,?mkdirat",
    "write,pwrite64",
    "fsync,fdatasync",
    "?rename,?renameat,?renameat2",
    "?unlink,?unlinkat",
    "?rmdir",
    "flock",
];

/// Kills `what` before its first call of `calls`, its second, and so on until it meets none; `check` is told of each
/// root that is left, and whether the change was acknowledged. Returns the number of kills, `None` where skipped.
fn kill_at_each(
    test: &str,
    (what, calls): (&str, &str),
    root: impl Fn(u32) -> PathBuf,
    mut check: impl FnMut(PathBuf, bool),
) -> Option<u32> {
    let work = |nth| {
        let root = root(nth);
        prepare(&root);
        ["change".into(), root.into_os_string(), what.into()]
    };
    super::kill_at_each(test, calls, work, |nth, done| check(root(nth), done))
}

fn assert_old_or_new(found: &State, states: [&State; 2], done: bool, moment: &str) {
    let [old, new] = states;
    let allowed = found == new || (!done && found == old);
    let names: Vec<_> = found.iter().map(|(key, bytes)| (key, bytes.len())).collect();
    assert!(allowed, "{moment}, acknowledged: {done}: neither the old nor the new: {names:?}");
}

#[test]
fn a_kill_before_any_call_leaves_the_old_or_the_new() {
    let test = "kill -9 at every step";
    let dir = tempfile::tempdir().unwrap();
    let mut kills = 0;
    for what in CHANGES {
        let old = prepare(&dir.path().join(what).join("old"));
        let new = changed(&dir.path().join(what).join("new"), what);
        for calls in CALLS {
            let place = dir.path().join(what).join(calls);
            let check = |root: PathBuf, done| {
                let moment = format!("{what}, {calls} {}", root.display());
                assert_old_or_new(&state(&root), [&old, &new], done, &moment);
            };
            let killed =
                kill_at_each(test, (what, calls), |nth| place.join(nth.to_string()), check);
            let Some(killed) = killed else { return };
            kills += killed;
        }
    }
    assert!(kills >= 50, "only {kills} kills: does strace still know the calls?");
}

#[test]
fn a_power_cut_before_any_call_leaves_the_old_or_the_new() {
    let test = "power cuts at every step";
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::make(test, "ext4") else { return };
    let disk = std::cell::RefCell::new(disk);
    let mut cuts = 0;
    for what in CHANGES {
        let old = prepare(&dir.path().join(what).join("old"));
        let new = changed(&dir.path().join(what).join("new"), what);
        // What comes between two of these calls is in no need of a cut of its own.
        for calls in ["fsync,fdatasync", "?rename,?renameat,?renameat2", "?unlink,?unlinkat"] {
            let fresh =
                |nth: u32| disk.borrow().path().join(format!("{what}-{}-{nth}", calls.len()));
            let check = |root: PathBuf, done| {
                disk.borrow_mut().cut();
                disk.borrow().restart();
                let moment = format!("{what}, cut at {calls} {}", root.display());
                assert_old_or_new(&state(&root), [&old, &new], done, &moment);
            };
            let Some(cut) = kill_at_each(test, (what, calls), fresh, check) else { return };
            cuts += cut;
        }
    }
    assert!(cuts >= 50, "only {cuts} cuts: does strace still know the calls?");
}

#[test]
fn a_flush_or_a_write_that_fails_is_told_and_leaves_the_old_or_the_new() {
    let dir = tempfile::tempdir().unwrap();
    for (call, error, kind, least) in
        [("fsync,fdatasync", "EIO", "Io", 30), ("write,pwrite64", "ENOSPC", "Full", 10)]
    {
        let mut failures = 0;
        // The last write is that of the worker's own answer.
        for what in CHANGES {
            let old = prepare(&dir.path().join(call).join(what).join("old"));
            let new = changed(&dir.path().join(call).join(what).join("new"), what);
            for nth in 1.. {
                let root = dir.path().join(call).join(what).join(nth.to_string());
                prepare(&root);
                let inject = format!("inject={call}:error={error}:when={nth}");
                let trace = format!("trace={call}");
                let options = ["-o", "/dev/null", "-e", &trace, "-e", &inject];
                let Some(output) = strace("failing flushes and writes", &options, &root, what)
                else {
                    return;
                };
                let left = staged(&root);
                assert_eq!(left, [] as [PathBuf; 0], "{what}, {call} {nth}: left behind");
                let moment = format!("{what}, {error} of {call} {nth}");
                assert_old_or_new(&state(&root), [&old, &new], is_done(&output), &moment);
                if output.status.success() {
                    break;
                }
                failures += 1;
                let told = text(&output.stderr);
                assert!(told.contains(kind) || told.contains("StorageFull"), "{moment}: {told}");
            }
        }
        assert!(
            failures >= least,
            "only {failures} of {call} failed: does strace still know them?"
        );
    }
}
