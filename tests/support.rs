//! What the tests of the suite share.

use std::{
    env,
    ffi::OsStr,
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
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

/// Counts a test as skipped, loudly, for want of something that can be installed.
pub(crate) fn skip(test: &str, why: &str) {
    note(&format!("SKIPPED: {test}: {why}"));
}

/// Counts a test as skipped, loudly, for want of a right that no installation brings: to mount, say, or to trace.
pub(crate) fn not_possible(test: &str, why: &str) {
    note(&format!("NOT POSSIBLE HERE: {test}: {why}"));
}

fn note(line: &str) {
    eprintln!("{line}");
    if let Some(list) = env::var_os("LARDER_SKIPS") {
        let mut list = OpenOptions::new().create(true).append(true).open(list).unwrap();
        // In one call: other tests write too.
        list.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
