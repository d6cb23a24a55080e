//! Every test of the workspace, and one line that says how it went.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::peers;
use crate::run::{self, Result};
use crate::workspace::Workspace;

/// What a line of the list of skipped tests begins with; the name of the test follows, up to the next `: `.
const SKIPPED: &str = "SKIPPED: ";
/// The same, where the test ran on something else.
const IN_PART: &str = "SKIPPED IN PART: ";
/// The same, where the machine does not give the right to run the test.
const NOT_POSSIBLE: &str = "NOT POSSIBLE HERE: ";

/// How the tests went. Prints as `N passed, M failed, K skipped`, and how many of those could not run on this machine,
/// if any.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Of the skipped ones, those that lack a right, which nothing that is installed brings.
    not_possible: u64,
    /// Whether something that could be installed is missing.
    short: bool,
}

/// Runs every test and prints the counts as the last line; whether all is well.
pub(crate) fn integration(workspace: &Workspace, args: &[OsString]) -> Result<bool> {
    let counts = run(workspace, args)?;
    println!("{counts}");
    Ok(counts.are_good())
}

/// Runs every test; `args` go on to `cargo test`.
pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> Result<Counts> {
    let mut counts = check_features(workspace)?;
    counts.add(&run_tests(workspace, args)?);
    if counts.short && peers_are_required() {
        println!("LARDER_REQUIRE_PEERS=1: install what the tests that are SKIPPED above ask for");
    }
    Ok(counts)
}

/// The umbrella builds without any store and with each one alone.
fn check_features(workspace: &Workspace) -> Result<Counts> {
    let umbrella = workspace.published().find(|package| package.name == "larder");
    let features =
        umbrella.into_iter().flat_map(|package| package.features.iter().map(String::as_str));
    let mut counts = Counts::default();
    for feature in std::iter::once("").chain(features) {
        let mut command = workspace.cargo();
        command.args([
            "check",
            "--quiet",
            "--package",
            "larder",
            "--no-default-features",
            "--features",
            feature,
        ]);
        let passed = run::passes(&mut command)?;
        println!("check larder with only [{feature}] ... {}", if passed { "ok" } else { "FAILED" });
        let (passed, failed) = (passed.into(), (!passed).into());
        counts.add(&Counts { passed, failed, ..Counts::default() });
    }
    Ok(counts)
}

fn run_tests(workspace: &Workspace, args: &[OsString]) -> Result<Counts> {
    let skips = workspace.target.join("skipped-tests.txt");
    clear(&skips)?;
    let mut command = workspace.cargo();
    command
        .args(["test", "--no-fail-fast", "--all-features"])
        .args(args)
        .env("LARDER_SKIPS", &skips);
    match peers::prepare(&workspace.target) {
        Ok(python) => _ = command.env("LARDER_PYTHON", python),
        Err(reason) => {
            println!("no Python peers, the tests against them will be skipped: {reason}")
        }
    }
    let mut counts = Counts::default();
    let passed = run::stream(&mut command, &mut io::stdout(), |line| {
        counts.add(&parse(line).unwrap_or_default())
    })?;
    if !passed && counts.failed == 0 {
        println!(
            "cargo test failed without a failed test: something did not compile, or a test's process died"
        );
        counts.failed = 1;
    }
    let reasons = read_skips(&skips)?;
    reasons.iter().for_each(|reason| println!("{reason}"));
    counts.mark_skipped(&reasons);
    Ok(counts)
}

/// The counts in a test harness's `test result:` line.
fn parse(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| {
        let mut parts = numbers.split("; ").filter_map(|part| part.split_once(' '));
        parts.find(|(_, what)| *what == word)?.0.parse().ok()
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("ignored")?,
        ..Counts::default()
    })
}

fn clear(skips: &Path) -> Result<()> {
    match fs::remove_file(skips) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", skips.display()))
        }
        _ => Ok(()),
    }
}

/// One reason a line; no file where nothing was skipped.
fn read_skips(skips: &Path) -> Result<Vec<String>> {
    match fs::read_to_string(skips) {
        Ok(text) => {
            Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("cannot read {}: {error}", skips.display())),
    }
}

pub(crate) fn peers_are_required() -> bool {
    env::var_os("LARDER_REQUIRE_PEERS").is_some_and(|value| value == "1")
}

impl Counts {
    pub(crate) fn are_good(&self) -> bool {
        self.failed == 0 && !(self.short && peers_are_required())
    }

    fn add(&mut self, more: &Counts) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.skipped += more.skipped;
        self.not_possible += more.not_possible;
        self.short |= more.short;
    }

    /// A test that skips itself returns early, so its harness took it for passed. One that did so only in part passed.
    fn mark_skipped(&mut self, reasons: &[String]) {
        let (missing, not_possible) = (tests(reasons, SKIPPED), tests(reasons, NOT_POSSIBLE));
        let skipped = missing.union(&not_possible).count() as u64;
        self.passed = self.passed.saturating_sub(skipped);
        self.skipped += skipped;
        self.not_possible += not_possible.difference(&missing).count() as u64;
        self.short |= !missing.is_empty() || !tests(reasons, IN_PART).is_empty();
    }
}

/// The tests of which some line that begins so tells, each once, however many lines it wrote.
fn tests<'a>(reasons: &'a [String], kind: &str) -> BTreeSet<&'a str> {
    let told = reasons.iter().filter_map(|reason| reason.strip_prefix(kind));
    told.map(|rest| rest.split_once(": ").map_or(rest, |(test, _)| test)).collect()
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)?;
        match self.not_possible {
            0 => Ok(()),
            some => write!(f, " ({some} of them not possible here)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_gives_its_counts() {
        let good = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 7 filtered out; finished in 0.01s";
        assert_eq!(parse(good), Some(Counts { passed: 12, skipped: 3, ..Counts::default() }));
        let bad = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s";
        assert_eq!(parse(bad), Some(Counts { passed: 1, failed: 2, ..Counts::default() }));
    }

    #[test]
    fn other_lines_give_none() {
        for line in [
            "",
            "running 3 tests",
            "test result: ok",
            "test result: ok. nine passed; 0 failed; 0 ignored",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
        assert_eq!(
            parse("  test result: ok. 1 passed; 0 failed; 0 ignored"),
            None,
            "a nested run's line is not ours"
        );
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let mut counts = Counts::default();
        counts.add(&Counts { passed: 5, failed: 1, skipped: 1, ..Counts::default() });
        counts.add(&Counts { passed: 2, ..Counts::default() });
        counts.mark_skipped(&["SKIPPED: a: no strace".into(), "SKIPPED: b: no Python".into()]);
        assert_eq!(counts.to_string(), "5 passed, 1 failed, 3 skipped");
        assert!(!counts.are_good());
    }

    #[test]
    fn a_test_that_tells_several_reasons_is_one_and_one_that_ran_elsewhere_is_none() {
        let mut counts = Counts { passed: 9, ..Counts::default() };
        counts.mark_skipped(&["SKIPPED IN PART: a: on moto: not installed".into()]);
        assert_eq!(
            (counts.to_string(), counts.short),
            ("9 passed, 0 failed, 0 skipped".into(), true)
        );
        let reasons =
            ["on moto", "on azurite"].map(|server| format!("SKIPPED: a::b: c {server}: none"));
        counts.mark_skipped(&reasons);
        assert_eq!(counts.to_string(), "8 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn what_the_machine_does_not_allow_is_told_apart_from_what_is_not_installed() {
        let mut counts = Counts { passed: 9, ..Counts::default() };
        assert!(!counts.short);
        counts.mark_skipped(&["NOT POSSIBLE HERE: power cuts: not root".into()]);
        assert!(!counts.short, "no package gives root");
        assert_eq!(
            counts.to_string(),
            "8 passed, 0 failed, 1 skipped (1 of them not possible here)"
        );
        counts.mark_skipped(&["SKIPPED: kills: no strace".into()]);
        assert!(counts.short);
        assert_eq!(
            counts.to_string(),
            "7 passed, 0 failed, 2 skipped (1 of them not possible here)"
        );
    }

    #[test]
    fn skips_are_read_a_line_each_and_cleared_before_the_next_run() {
        let path = env::temp_dir().join(format!("larder-xtask-skips-{}", std::process::id()));
        let mut file = fs::File::create(&path).unwrap();
        io::Write::write_all(
            &mut file,
            b"SKIPPED: reads_npy: no Python\n\nSKIPPED: reads_parquet: no Python\n",
        )
        .unwrap();
        let reasons =
            ["reads_npy", "reads_parquet"].map(|test| format!("SKIPPED: {test}: no Python"));
        assert_eq!(read_skips(&path), Ok(reasons.to_vec()));
        assert_eq!(clear(&path), Ok(()));
        assert_eq!(read_skips(&path), Ok(Vec::new()));
        assert_eq!(clear(&path), Ok(()), "there is nothing left to clear");
    }
}
