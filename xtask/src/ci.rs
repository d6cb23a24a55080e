//! Everything that has to pass before a change lands.

use std::env;
use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::integration;
use crate::peers;
use crate::run::{self, Result};
use crate::soundness::soundness;
use crate::tidy;
use crate::workspace::Workspace;

/// From the root of the workspace.
const FUZZ: &str = "fuzz/Cargo.toml";

type Step = (&'static str, fn(&Workspace) -> Result<bool>);

/// Cheapest first: a slip is told in seconds. The tests come last, on their own, for the line they end with.
const STEPS: [Step; 8] = [
    ("fmt", fmt),
    ("tidy", tidy::tidy),
    ("peers", peers),
    ("clippy", clippy),
    ("fuzz", fuzz),
    ("doc", doc),
    ("package", package),
    ("soundness", soundness),
];

/// Runs the steps up to the first that fails; whether all passed.
pub(crate) fn ci(workspace: &Workspace) -> Result<bool> {
    for (name, step) in STEPS {
        if !timed(name, || step(workspace))? {
            return Ok(failed(name));
        }
    }
    let counts = timed("integration", || integration::run(workspace, &[]))?;
    println!("{counts}");
    Ok(counts.are_good() || failed("integration"))
}

/// Packs every published crate and builds each from its package alone.
pub(crate) fn package(workspace: &Workspace) -> Result<bool> {
    forget_packages(workspace)?;
    let mut command = workspace.cargo();
    // Changes are checked before they are committed; `cargo publish` refuses a dirty tree by itself.
    command.args(["package", "--allow-dirty"]);
    // One target folder for all: otherwise each package builds its dependencies in a folder of its own.
    command.arg("--target-dir").arg(&workspace.target);
    run::passes(command.args(workspace.published().flat_map(|it| ["--package", &it.name])))
}

/// Removes what cargo unpacked and built of our packages before, under the same version and path but with other content:
/// it takes packages for unchangeable, and would use it instead of what is packed now.
fn forget_packages(workspace: &Workspace) -> Result<()> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
    // A registry in a directory has no host, so its name is a dash and a hash.
    for registry in children(&home.join("registry/src"), "-") {
        for package in workspace.published() {
            remove_dir_all(&registry.join(format!("{}-{}", package.name, package.version)))?;
        }
    }
    for built in children(&workspace.target.join("debug/.fingerprint"), "larder") {
        remove_dir_all(&built)?;
    }
    Ok(())
}

/// What lies in the directory, if it is there, under names that begin so.
fn children(dir: &Path, prefix: &str) -> impl Iterator<Item = PathBuf> {
    let named =
        move |child: &DirEntry| child.file_name().as_encoded_bytes().starts_with(prefix.as_bytes());
    fs::read_dir(dir).into_iter().flatten().flatten().filter(named).map(|child| child.path())
}

#[expect(clippy::disallowed_methods, reason = "copies of packages, which no store knows")]
fn remove_dir_all(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn fmt(workspace: &Workspace) -> Result<bool> {
    Ok(run::passes(workspace.cargo().args(["fmt", "--all", "--check"]))?
        && run::passes(workspace.cargo().args(["fmt", "--check", "--manifest-path", FUZZ]))?)
}

/// Early, so that what is missing is told before the long steps.
fn peers(workspace: &Workspace) -> Result<bool> {
    match peers::prepare(&workspace.target) {
        Ok(_) => Ok(true),
        Err(reason) if integration::peers_are_required() => Err(reason),
        Err(reason) => {
            println!("no Python peers, the tests against them will be skipped: {reason}");
            Ok(true)
        }
    }
}

fn clippy(workspace: &Workspace) -> Result<bool> {
    let args = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    run::passes(workspace.cargo().args(args))
}

/// The targets are a workspace of their own. Without a sanitizer they build with the compiler as it is.
fn fuzz(workspace: &Workspace) -> Result<bool> {
    let mut command = workspace.cargo();
    command
        .args(["check", "--manifest-path", FUZZ, "--all-targets"])
        .env("RUSTFLAGS", "-D warnings");
    run::passes(command.arg("--target-dir").arg(workspace.target.join("fuzz")))
}

/// The published libraries. The program's own page would be written over the umbrella's: both are named `larder`.
fn doc(workspace: &Workspace) -> Result<bool> {
    let libraries = workspace
        .published()
        .filter(|it| it.entry_points.iter().any(|path| path.ends_with("/lib.rs")));
    let mut command = workspace.cargo();
    command.env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--no-deps", "--all-features"]);
    run::passes(command.args(libraries.flat_map(|it| ["--package", &it.name])))
}

fn timed<T>(name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("== {name}");
    let start = Instant::now();
    let result = step().map_err(|error| format!("{name}: {error}"))?;
    println!("== {name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(result)
}

/// Says so in the last line. Always false.
fn failed(step: &str) -> bool {
    eprintln!("ci stopped: {step} failed; what is wrong is told above");
    false
}
