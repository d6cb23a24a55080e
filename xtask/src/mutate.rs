//! The mutation check: takes each flush, rename and lock out of `larder-storage` in turn; some test has to fail.

#![expect(
    clippy::disallowed_methods,
    reason = "it changes a scratch copy, which nobody else reads"
)]

mod list;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::run::{self, Result};
use crate::workspace::Workspace;
use list::MUTANTS;

/// One thing taken out.
#[derive(Debug)]
struct Mutant {
    /// What is taken out.
    name: &'static str,
    /// From the sources of `larder-storage`.
    file: &'static str,
    snippet: &'static str,
    replacement: &'static str,
}

/// What the tests said.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// By the first test that failed.
    Caught(String),
    Survived,
}

/// The tests of which one has to fail, quickest first.
const TESTS: [&[&str]; 3] = [
    &["--package", "larder-storage", "--features", "testing", "--lib"],
    &[
        "--package",
        "larder-tests",
        "--test",
        "integration",
        "--",
        "faults::flushed",
        "faults::locks",
    ],
    &[
        "--package",
        "larder-tests",
        "--test",
        "integration",
        "--",
        "faults::",
        "power::",
        "storage::",
    ],
];

/// A mutant may make a test wait for ever.
const SECONDS: &str = "240";

/// Tests every mutant whose name contains all of `words`, and prints what caught it; whether all were caught.
pub(crate) fn mutate(workspace: &Workspace, words: &[OsString]) -> Result<bool> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let chosen = MUTANTS.iter().filter(|it| words.iter().all(|word| it.name.contains(&**word)));
    let copy = Copy::make(workspace)?;
    if let Verdict::Caught(test) = copy.test()? {
        return Err(format!("{test} fails with nothing taken out: mend that first"));
    }
    let (start, mut caught, mut survived) = (Instant::now(), 0, 0);
    for mutant in chosen {
        match copy.test_without(mutant)? {
            Verdict::Caught(test) => {
                caught += 1;
                println!("{:<52} caught by {test}", mutant.name);
            }
            Verdict::Survived => {
                survived += 1;
                println!("{:<52} SURVIVED", mutant.name);
            }
        }
    }
    println!("{caught} caught, {survived} survived, in {} s", start.elapsed().as_secs());
    Ok(survived == 0)
}

impl Mutant {
    /// The source without what the mutant takes out.
    fn apply(&self, source: &str) -> Result<String> {
        match source.matches(self.snippet).count() {
            1 => Ok(source.replacen(self.snippet, self.replacement, 1)),
            count => Err(format!(
                "{}: the snippet of the mutant '{}' occurs {count} times: name its place anew in xtask/src/mutate/list.rs",
                list::path(self),
                self.name
            )),
        }
    }
}

/// A copy of the workspace, with a target folder of its own.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn make(workspace: &Workspace) -> Result<Self> {
        let home = workspace.target.join("mutants");
        let copy = Self { root: home.join("workspace"), target: home.join("target") };
        let failed = |error| format!("cannot copy the workspace: {error}");
        match fs::remove_dir_all(&copy.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => copy_tree(&workspace.root, &copy.root).map_err(failed)?,
        }
        Ok(copy)
    }

    fn test_without(&self, mutant: &Mutant) -> Result<Verdict> {
        let path = self.root.join(list::path(mutant));
        let failed = |error| format!("cannot change {}: {error}", path.display());
        let source = fs::read_to_string(&path).map_err(failed)?;
        fs::write(&path, mutant.apply(&source)?).map_err(failed)?;
        let verdict = self.test().map_err(|error| format!("without {}: {error}", mutant.name));
        fs::write(&path, source).map_err(failed)?;
        verdict
    }

    fn test(&self) -> Result<Verdict> {
        for tests in TESTS {
            if let Verdict::Caught(test) = self.run(tests)? {
                return Ok(Verdict::Caught(test));
            }
        }
        Ok(Verdict::Survived)
    }

    fn run(&self, tests: &[&str]) -> Result<Verdict> {
        let cargo = run::cargo();
        let mut build = Command::new(cargo.get_program());
        let before_filters = tests.iter().take_while(|arg| **arg != "--");
        build.args(["test", "--quiet", "--no-run"]).args(before_filters);
        run::capture(self.at_home(&mut build))?;
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", SECONDS]).arg(cargo.get_program()).arg("test").args(tests);
        let output = self.at_home(&mut command).output();
        let output = output.map_err(|error| format!("cannot run timeout: {error}"))?;
        if output.status.success() {
            return Ok(Verdict::Survived);
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let test =
            first_failed(&said).unwrap_or("a test that never ended, or took its process along");
        Ok(Verdict::Caught(test.to_owned()))
    }

    fn at_home<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("CARGO_TARGET_DIR", &self.target).current_dir(&self.root).stdin(Stdio::null())
    }
}

/// The name in the first `test NAME ... FAILED`.
fn first_failed(output: &str) -> Option<&str> {
    output.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
}

/// Makes `to` a copy of `from`, but for what is built or kept there.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        if name == "target" || name == ".git" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_snippet_still_names_one_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for mutant in MUTANTS {
            let source = fs::read_to_string(root.join(list::path(mutant))).unwrap();
            assert_ne!(mutant.apply(&source).unwrap(), source, "{}", mutant.name);
        }
    }

    #[test]
    fn a_snippet_that_is_gone_or_ambiguous_is_an_error() {
        let mutant = Mutant { name: "n", file: "lock.rs", snippet: "lock();", replacement: "" };
        assert_eq!(mutant.apply("a lock(); b").unwrap(), "a  b");
        for source in ["", "lock(); lock();"] {
            assert!(mutant.apply(source).unwrap_err().contains("list.rs"), "{source}");
        }
    }

    #[test]
    fn the_first_failed_test_is_named() {
        let output = "test a::good ... ok\ntest a::bad ... FAILED\ntest b::bad ... FAILED\n";
        assert_eq!(first_failed(output), Some("a::bad"));
        assert_eq!(first_failed("test a ... ok\n"), None);
    }
}
