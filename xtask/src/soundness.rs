//! What a test by itself cannot show: that unsafe code stays within its rules, and that threads may go on in any order.

use std::process::{Command, Stdio};

use crate::fuzz::host;
use crate::run::{self, Result};
use crate::workspace::Workspace;

/// The crate whose memory and threads are checked.
const CRATE: &str = "larder-lazy-array";

/// Runs the checks; whether all passed that can run here.
pub(crate) fn soundness(workspace: &Workspace) -> Result<bool> {
    Ok(schedules(workspace)? && sanitizer(workspace)? && interpreter(workspace)?)
}

/// The tests in which shuttle chooses, some thousand times, which thread goes on.
fn schedules(workspace: &Workspace) -> Result<bool> {
    println!("random schedules");
    let mut cargo = workspace.cargo();
    cargo.env("RUSTFLAGS", "--cfg shuttle").args(["test", "--quiet", "-p", CRATE, "--lib"]);
    cargo.arg("--target-dir").arg(workspace.target.join("shuttle"));
    run::passes(cargo.arg("schedules::"))
}

/// Every unit test under the address sanitizer: freed or foreign memory that is touched ends the run.
fn sanitizer(workspace: &Workspace) -> Result<bool> {
    println!("address sanitizer");
    let host = host(&run::capture(Command::new("rustc").arg("-vV"))?)?;
    let mut cargo = workspace.cargo();
    // The sanitizer is not stable; a target that is named keeps these flags from build scripts and macros.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    cargo.args(["test", "--quiet", "-p", CRATE, "--lib", "--target", &host]);
    run::passes(cargo.arg("--target-dir").arg(workspace.target.join("sanitizer")))
}

/// The tests of the module with unsafe code in Miri, but for those of maps, which it does not know.
fn interpreter(workspace: &Workspace) -> Result<bool> {
    let mut known = Command::new("cargo");
    known.args(["+nightly", "miri", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !run::passes(&mut known).is_ok_and(|known| known) {
        println!(
            "no Miri here (rustup +nightly component add miri rust-src), the sanitizer has to do"
        );
        return Ok(true);
    }
    println!("Miri");
    let mut cargo = Command::new("cargo");
    // What the running cargo has set is meant for its own compiler.
    cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    cargo.args(["+nightly", "miri", "test", "--quiet", "-p", CRATE, "--lib"]);
    cargo.current_dir(&workspace.root).arg("--target-dir").arg(workspace.target.join("miri"));
    run::passes(cargo.arg("memory::"))
}
