//! What the tests of the suite share.

use std::{
    env,
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
    thread,
};

use serde_json::Value;

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(repository());
    command
}

/// The `larder` command, built once for this run of the suite with the profile of the suite.
pub(crate) fn larder() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let path = BUILT.get_or_init(|| {
        let mut build = cargo();
        // As the suite itself was built, so that no dependency is built twice.
        build.args(["build", "--quiet", "--all-features", "--bin", "larder"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the command does not build");
        let beside =
            env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
        beside.join(format!("larder{}", env::consts::EXE_SUFFIX))
    });
    let mut command = Command::new(path);
    command.env_remove("LARDER_ROOT").env_remove("RUST_BACKTRACE");
    command
}

/// Runs `larder ARGS --root ROOT --json` and returns what it printed.
pub(crate) fn json(root: &Path, args: &[&str]) -> Value {
    let output = larder().args(args).arg("--json").arg("--root").arg(root).output().unwrap();
    assert!(output.status.success(), "larder {args:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a Python program with numpy and pyarrow, or says that `test` is skipped and returns `None`.
pub(crate) fn python(test: &str, program: &str, args: &[&Path]) -> Option<Output> {
    let Some(python) = env::var_os("LARDER_PYTHON") else {
        skip(test, "no Python with numpy and pyarrow: `cargo xtask integration` prepares one");
        return None;
    };
    Some(Command::new(python).arg("-c").arg(program).args(args).output().unwrap())
}

/// Whether there is such a program, one that prints its version.
pub(crate) fn is_installed(program: impl AsRef<OsStr>) -> bool {
    Command::new(program).arg("-V").output().is_ok()
}

/// Counts this thread's test as skipped, loudly, for want of something that can be installed; `what` tells of it.
pub(crate) fn skip(what: &str, why: &str) {
    note("SKIPPED", what, why);
}

/// Tells loudly that this thread's test ran without something that can be installed, but not only in vain.
pub(crate) fn skip_in_part(what: &str, why: &str) {
    note("SKIPPED IN PART", what, why);
}

/// Counts this thread's test as skipped, loudly, for want of a right that no installation brings: to mount, say, or to
/// trace.
pub(crate) fn not_possible(what: &str, why: &str) {
    note("NOT POSSIBLE HERE", what, why);
}

/// Whether this process may mount file systems. Others than Linux are not asked.
pub(crate) fn may_mount() -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rights = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    rights.is_some_and(|hex| {
        u64::from_str_radix(hex.trim(), 16).is_ok_and(|rights| rights & CAP_SYS_ADMIN != 0)
    })
}

fn note(kind: &str, what: &str, why: &str) {
    let thread = thread::current();
    // One test after the other, all run on the main thread, which has no test's name.
    let test = thread.name().filter(|name| *name != "main").unwrap_or(what);
    let line = format!("{kind}: {test}: {what}: {why}");
    eprintln!("{line}");
    if let Some(list) = env::var_os("LARDER_SKIPS") {
        let mut list = OpenOptions::new().create(true).append(true).open(list).unwrap();
        // In one call: other tests write too.
        list.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
