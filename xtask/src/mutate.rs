//! The mutation check: takes each flush, rename, lock and condition out of `larder-storage` in turn, and the checks out of
//! `larder-lazy-array`, `larder-embedding-shards`, `larder-dir-cache` and `larder-provenance`; some test has to fail.

#![expect(
    clippy::disallowed_methods,
    reason = "it changes a scratch copy, which nobody else reads"
)]

mod list;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::peers;
use crate::run::{self, Result};
use crate::workspace::Workspace;

/// One thing taken out.
#[derive(Debug)]
struct Mutant {
    /// What is taken out.
    name: &'static str,
    /// From the folder of the crates.
    file: &'static str,
    /// The tests that are likely to catch it.
    first: Suite,
    snippet: &'static str,
    replacement: &'static str,
    /// Whether a test may wait for ever without it.
    hangs: bool,
}

/// What the tests said.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// By the first test that failed.
    Caught(String),
    /// The tests were ended by the limit, and none had failed by then.
    NeverEnded,
    Survived,
    /// Says nothing about the tests: the mutant has to be mended.
    DoesNotBuild,
}

/// The tests of which one has to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suite {
    /// Beside the code of the storage.
    Unit,
    /// Beside that of the arrays.
    Arrays,
    /// Beside that of the embedding shards.
    Shards,
    /// Beside that of the directories.
    Dirs,
    /// Beside that of results.
    Results,
    /// Many processes at directories, and kills of them.
    Crowded,
    /// Many processes at results, kills of them, and disks that are full or may not be written.
    CrowdedResults,
    /// What is flushed before what, and who waits for whom.
    Traced,
    /// Kills, power cuts, and several processes.
    Killed,
    /// A server that breaks conditions, which the suite brings along: the others take long to start.
    Refused,
    /// Answers of real servers that are lost on their way.
    Served,
}

impl Suite {
    /// Quickest first.
    const ALL: [Self; 11] = [
        Self::Unit,
        Self::Arrays,
        Self::Shards,
        Self::Dirs,
        Self::Results,
        Self::Refused,
        Self::Traced,
        Self::CrowdedResults,
        Self::Crowded,
        Self::Killed,
        Self::Served,
    ];

    /// Every suite, `self` before the others.
    fn first(self) -> impl Iterator<Item = Self> {
        std::iter::once(self).chain(Self::ALL.into_iter().filter(move |it| *it != self))
    }

    /// What `cargo test` builds for it, and which of those tests it runs.
    fn tests(self) -> (&'static [&'static str], &'static [&'static str]) {
        let together: &[&str] = &["--package", "larder-tests", "--test", "integration"];
        match self {
            Self::Unit => (&["--package", "larder-storage", "--all-features", "--lib"], &[]),
            Self::Arrays => (&["--package", "larder-lazy-array", "--lib"], &[]),
            Self::Shards => (&["--package", "larder-embedding-shards", "--lib"], &[]),
            Self::Dirs => (&["--package", "larder-dir-cache", "--lib"], &[]),
            Self::Results => (&["--package", "larder-provenance", "--lib"], &[]),
            Self::Crowded => (together, &["dirs::"]),
            Self::CrowdedResults => (
                together,
                &[
                    "provenance::crowd",
                    "provenance::damage",
                    "provenance::disks",
                    "provenance::kills",
                    "provenance::steps",
                ],
            ),
            Self::Traced => (together, &["faults::flushed", "faults::locks"]),
            Self::Killed => (
                together,
                &[
                    "faults::",
                    "power::",
                    "storage::",
                    "flight::",
                    "array::planted",
                    "shards::crowd",
                ],
            ),
            Self::Refused => (together, &["object::a_server_that_breaks_a_condition"]),
            Self::Served => (together, &["object::answers"]),
        }
    }
}

/// A mutant may make a test wait for ever.
const LIMIT: Duration = Duration::from_secs(240);

/// Tests every mutant whose name contains all of `words`, and prints what caught it; whether all were caught.
pub(crate) fn mutate(workspace: &Workspace, words: &[OsString]) -> Result<bool> {
    let chosen = chosen(words)?;
    let copy = Copy::make(workspace, peers::prepare(&workspace.target)?)?;
    match copy.test(Suite::Unit)? {
        Verdict::Survived => {}
        Verdict::DoesNotBuild => return Err("the tests do not build with nothing taken out".into()),
        Verdict::NeverEnded => return Err("the tests do not end with nothing taken out".into()),
        Verdict::Caught(test) => {
            return Err(format!("{test} fails with nothing taken out: mend that first"));
        }
    }
    let width = chosen.iter().map(|mutant| mutant.name.len()).max().unwrap_or(0);
    println!("{:<width$}  what the tests said", "what was taken out");
    let (start, mut caught, mut others) = (Instant::now(), 0, 0);
    for mutant in chosen {
        let verdict = copy.test_without(mutant)?;
        if verdict.is_good(mutant) {
            caught += 1
        } else {
            others += 1
        }
        println!("{:<width$}  {verdict}", mutant.name);
    }
    println!("{caught} caught, {others} not, in {} s", start.elapsed().as_secs());
    Ok(others == 0)
}

/// The mutants whose names contain all of `words`.
fn chosen(words: &[OsString]) -> Result<Vec<&'static Mutant>> {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let chosen: Vec<_> =
        list::all().filter(|it| words.iter().all(|word| it.name.contains(&**word))).collect();
    if chosen.is_empty() {
        return Err(format!("no mutant has {words:?} in its name: see xtask/src/mutate/list.rs"));
    }
    Ok(chosen)
}

impl Verdict {
    /// Whether the tests notice the mutant.
    fn is_good(&self, mutant: &Mutant) -> bool {
        match self {
            Self::Caught(_) => true,
            Self::NeverEnded => mutant.hangs,
            Self::Survived | Self::DoesNotBuild => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught(test) => write!(f, "caught by {test}"),
            Self::NeverEnded => {
                write!(f, "NEVER ENDED: no test failed within {} s", LIMIT.as_secs())
            }
            Self::Survived => f.write_str("SURVIVED: no test fails without it"),
            Self::DoesNotBuild => f.write_str("DOES NOT BUILD: mend its replacement in list.rs"),
        }
    }
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
    /// For the servers and for cutting the power.
    python: PathBuf,
}

impl Copy {
    fn make(workspace: &Workspace, python: PathBuf) -> Result<Self> {
        let home = workspace.target.join("mutants");
        let (root, target) = (home.join("workspace"), home.join("target"));
        let copy = Self { root, target, python };
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
        let verdict =
            self.test(mutant.first).map_err(|error| format!("without {}: {error}", mutant.name));
        fs::write(&path, source).map_err(failed)?;
        verdict
    }

    fn test(&self, first: Suite) -> Result<Verdict> {
        for suite in first.first() {
            match self.run(suite)? {
                Verdict::Survived => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(Verdict::Survived)
    }

    fn run(&self, suite: Suite) -> Result<Verdict> {
        let (cargo, (built, chosen)) = (run::cargo(), suite.tests());
        let mut build = Command::new(cargo.get_program());
        build.args(["test", "--quiet", "--no-run"]).args(built);
        if run::capture(self.at_home(&mut build)).is_err() {
            return Ok(Verdict::DoesNotBuild);
        }
        let mut command = Command::new("timeout");
        let (limit, start) = (LIMIT.as_secs().to_string(), Instant::now());
        command.args(["--signal=KILL", &limit]).arg(cargo.get_program()).arg("test");
        let output = self.at_home(command.args(built).arg("--").args(chosen)).output();
        let output = output.map_err(|error| format!("cannot run timeout: {error}"))?;
        if output.status.success() {
            return Ok(Verdict::Survived);
        }
        let said = String::from_utf8_lossy(&output.stdout);
        Ok(match first_failed(&said) {
            Some(test) => Verdict::Caught(test.to_owned()),
            None if start.elapsed() >= LIMIT => Verdict::NeverEnded,
            None => Verdict::Caught("a test that took its process along".to_owned()),
        })
    }

    fn at_home<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        // Without debug information it links in half the time.
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.env("LARDER_PYTHON", &self.python);
        command.current_dir(&self.root).stdin(Stdio::null())
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
        for mutant in list::all() {
            let source = fs::read_to_string(root.join(list::path(mutant))).unwrap();
            assert_ne!(mutant.apply(&source).unwrap(), source, "{}", mutant.name);
        }
    }

    #[test]
    fn a_snippet_that_is_gone_or_ambiguous_is_an_error() {
        let (name, file, first) = ("n", "lock.rs", Suite::Unit);
        let mutant =
            Mutant { name, file, first, snippet: "lock();", replacement: "", hangs: false };
        assert_eq!(mutant.apply("a lock(); b").unwrap(), "a  b");
        for source in ["", "lock(); lock();"] {
            assert!(mutant.apply(source).unwrap_err().contains("list.rs"), "{source}");
        }
    }

    #[test]
    fn names_are_different_and_words_that_are_in_none_are_an_error() {
        let names: std::collections::BTreeSet<_> = list::all().map(|mutant| mutant.name).collect();
        assert_eq!(names.len(), list::all().count());
        assert_eq!(chosen(&[]).unwrap().len(), names.len());
        assert_eq!(chosen(&["fence".into(), "growth".into()]).unwrap().len(), 1);
        assert!(chosen(&["fence".into(), "no such thing".into()]).unwrap_err().contains("list.rs"));
    }

    #[test]
    fn tests_that_never_end_are_good_only_where_that_is_expected() {
        let (quick, slow) = list::all().partition::<Vec<_>, _>(|mutant| !mutant.hangs);
        assert!(!Verdict::NeverEnded.is_good(quick[0]));
        assert!(slow.iter().all(|mutant| Verdict::NeverEnded.is_good(mutant)));
        assert!(Verdict::Caught("a".into()).is_good(quick[0]));
        assert!(!Verdict::Survived.is_good(quick[0]) && !Verdict::DoesNotBuild.is_good(quick[0]));
    }

    #[test]
    fn every_suite_is_asked_once() {
        for first in Suite::ALL {
            let mut asked: Vec<_> = first.first().collect();
            assert_eq!(asked[0], first);
            asked.sort_by_key(|suite| Suite::ALL.iter().position(|it| it == suite));
            assert_eq!(asked, Suite::ALL);
        }
    }

    #[test]
    fn the_first_failed_test_is_named() {
        let output = "test a::good ... ok\ntest a::bad ... FAILED\ntest b::bad ... FAILED\n";
        assert_eq!(first_failed(output), Some("a::bad"));
        assert_eq!(first_failed("test a ... ok\n"), None);
    }
}
