//! Arbitrary bytes for every decoder of what lies on a disk: the targets of `fuzz/`, each for a bounded time.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{self, Result};
use crate::workspace::Workspace;

/// The files of `fuzz/fuzz_targets`, in the order of the alphabet.
const TARGETS: &[&str] = &[
    "arrays",
    "cache_meta",
    "databases",
    "dir_index",
    "json",
    "keys",
    "kv_documents",
    "kv_rows",
    "leases",
    "payloads",
    "provenance",
    "record_texts",
    "records",
    "root_marker",
    "shard_index",
    "shards",
    "tracks",
];

/// What cargo-fuzz builds with: coverage for libFuzzer, the address sanitizer, and every assertion.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Ccodegen-units=1 -Cdebug-assertions -Zsanitizer=address --cfg fuzzing";

/// In seconds; with everything built in, the Parquet library takes most of a minute to pass over some damaged headers.
const TIMEOUT: &str = "-timeout=180";

/// What to fuzz, and for how many seconds each.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    targets: Vec<&'static str>,
    seconds: u32,
}

/// How the run of one target went.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    runs: u64,
    /// Edges covered by the corpus that there was, and in the end.
    before: u64,
    after: u64,
    runs_a_second: u64,
}

/// Runs the targets named, or all; whether nothing was found.
pub(crate) fn fuzz(workspace: &Workspace, args: &[OsString]) -> Result<bool> {
    let plan = Plan::parse(args)?;
    let home = workspace.target.join("fuzz");
    let built = build(workspace, &home)?;
    let mut table = vec![row(["target", "runs", "runs/s", "new coverage", "findings"])];
    let (mut findings, mut failures) = (Vec::new(), Vec::new());
    for target in plan.targets {
        println!("fuzzing {target} for {} s", plan.seconds);
        let run =
            Run { target, home: &home, corpus: &workspace.root.join("fuzz/corpus").join(target) };
        match run.run(&built.join(target), plan.seconds) {
            Ok((figures, found)) => {
                table.push(figures.row(target, found.len()));
                findings.extend(found);
            }
            // What the other targets find is worth no less.
            Err(failure) => failures.push(failure),
        }
    }
    println!("\n{}", table.join("\n"));
    for finding in &findings {
        println!("finding: {}, and what was said in {}", finding.display(), log(finding).display());
    }
    failures.iter().for_each(|failure| println!("failure: {failure}"));
    Ok(findings.is_empty() && failures.is_empty())
}

/// Builds every target, and says where.
fn build(workspace: &Workspace, home: &Path) -> Result<PathBuf> {
    let host = host(&run::capture(Command::new("rustc").arg("-vV"))?)?;
    let mut cargo = workspace.cargo();
    // The sanitizer is not stable; a target that is named keeps these flags from build scripts and macros.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS);
    cargo.args(["build", "--release", "--bins", "--manifest-path", "fuzz/Cargo.toml"]);
    cargo.args(["--target", &host, "--target-dir"]).arg(home);
    if run::passes(&mut cargo)? {
        Ok(home.join(host).join("release"))
    } else {
        Err("the targets do not build; why is told above".into())
    }
}

pub(crate) fn host(version: &str) -> Result<String> {
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say what its host is".into())
}

/// The run of one target.
struct Run<'a> {
    target: &'a str,
    home: &'a Path,
    /// The committed inputs, which are only read.
    corpus: &'a Path,
}

impl Run<'_> {
    /// Fuzzes for some seconds; the figures, and the inputs that something was found with.
    fn run(&self, program: &Path, seconds: u32) -> Result<(Figures, Vec<PathBuf>)> {
        let grown = self.dir("corpus")?;
        let artifacts = self.dir("artifacts")?;
        let scratch = Scratch::make(self.home, self.target)?;
        let mut command = Command::new(program);
        command.arg(&grown).arg(self.corpus).env("TMPDIR", &scratch.0);
        // SQLite's C, built with the sanitizer too, is taken for a second definition of itself.
        command.env("ASAN_OPTIONS", "detect_odr_violation=0");
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.arg(format!("-max_total_time={seconds}"));
        command.args([TIMEOUT, "-rss_limit_mb=4096", "-detect_leaks=0", "-print_final_stats=1"]);
        let output = command.stdin(Stdio::null()).output();
        let output =
            output.map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let found: Vec<_> = findings(&text).collect();
        text.lines()
            .filter(|line| line.starts_with("Slowest unit:"))
            .for_each(|it| println!("{it}"));
        if !output.status.success() && found.is_empty() {
            let last = text.lines().rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
            return Err(format!("{} ended with {}: {last}", self.target, output.status));
        }
        for finding in &found {
            let saved = fs::File::create(log(finding))
                .and_then(|mut log| std::io::Write::write_all(&mut log, &output.stderr));
            saved.map_err(|error| format!("cannot write {}: {error}", log(finding).display()))?;
        }
        Ok((Figures::parse(&text), found))
    }

    fn dir(&self, what: &str) -> Result<PathBuf> {
        let dir = self.home.join(what).join(self.target);
        make(&dir)?;
        Ok(dir)
    }
}

/// The inputs that libFuzzer says it saved for a fault; what only took its time is `slow-unit-..`.
fn findings(text: &str) -> impl Iterator<Item = PathBuf> {
    let saved = text.lines().filter_map(|line| line.split_once("Test unit written to "));
    saved.map(|(_, file)| PathBuf::from(file)).filter(|file| {
        !file.file_name().unwrap_or_default().to_string_lossy().starts_with("slow-unit-")
    })
}

/// What the fuzzer said, beside the input that it said it of.
fn log(finding: &Path) -> PathBuf {
    finding.with_extension("log")
}

fn make(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))
}

/// A directory for what a target writes, in memory where that is possible. It goes with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn make(home: &Path, target: &str) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory } else { home };
        let dir = place.join(format!("larder-fuzz-{}-{target}", std::process::id()));
        make(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    #[expect(clippy::disallowed_methods, reason = "scratch of a program that has ended")]
    fn drop(&mut self) {
        // What cannot be removed is in nobody's way.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Plan {
    /// Reads `[TARGET...] [--seconds N]`.
    fn parse(args: &[OsString]) -> Result<Self> {
        let mut plan = Self { targets: Vec::new(), seconds: 60 };
        let mut args = args.iter().map(|arg| arg.to_string_lossy());
        while let Some(arg) = args.next() {
            if arg == "--seconds" {
                let seconds = args.next().and_then(|text| text.parse().ok());
                plan.seconds = seconds
                    .filter(|seconds| *seconds > 0)
                    .ok_or("--seconds takes a whole number from 1 on")?;
            } else {
                let target = TARGETS.iter().find(|target| **target == arg);
                plan.targets.push(target.ok_or_else(|| {
                    format!("no target {arg:?}; there are {}", TARGETS.join(", "))
                })?);
            }
        }
        if plan.targets.is_empty() {
            plan.targets = TARGETS.to_vec();
        }
        Ok(plan)
    }
}

impl Figures {
    /// Reads what libFuzzer says.
    fn parse(text: &str) -> Self {
        let number = |line: &str, name: &str| -> Option<u64> {
            line.split_once(name)?.1.split_whitespace().next()?.parse().ok()
        };
        let last = |name| text.lines().rev().find_map(|line| number(line, name));
        let inited = text.lines().find(|line| line.contains("INITED"));
        Self {
            runs: last("stat::number_of_executed_units:").unwrap_or(0),
            runs_a_second: last("stat::average_exec_per_sec:").unwrap_or(0),
            before: inited.and_then(|line| number(line, " cov:")).unwrap_or(0),
            after: last(" cov:").unwrap_or(0),
        }
    }

    fn row(&self, target: &str, findings: usize) -> String {
        let coverage = format!("{} -> {}", self.before, self.after);
        let [runs, speed] = [self.runs, self.runs_a_second].map(|number| number.to_string());
        row([target, &runs, &speed, &coverage, &findings.to_string()])
    }
}

fn row([target, runs, speed, coverage, findings]: [&str; 5]) -> String {
    format!("{target:<12} {runs:>10} {speed:>8} {coverage:>16} {findings:>9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fuzz_dir() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn the_targets_are_those_that_are_there_and_each_begins_with_inputs() {
        let mut there: Vec<_> = files(&fuzz_dir().join("fuzz_targets"));
        there.sort();
        let names: Vec<_> =
            there.iter().map(|it| it.file_stem().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, TARGETS);
        let manifest = fs::read_to_string(fuzz_dir().join("Cargo.toml")).unwrap();
        for target in TARGETS {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
            let seeds = files(&fuzz_dir().join("corpus").join(target));
            assert!(seeds.iter().any(|seed| seed.metadata().unwrap().len() > 0), "{target}");
        }
    }

    #[test]
    fn a_plan_is_all_targets_for_a_minute_or_what_was_asked_for() {
        let parse =
            |args: &[&str]| Plan::parse(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(parse(&[]), Ok(Plan { targets: TARGETS.to_vec(), seconds: 60 }));
        let asked = Plan { targets: vec!["keys", "json"], seconds: 5 };
        assert_eq!(parse(&["keys", "--seconds", "5", "json"]), Ok(asked));
        for wrong in [&["key"][..], &["--seconds"], &["--seconds", "0"], &["--seconds", "soon"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn figures_are_read_from_what_libfuzzer_says() {
        let text = "#3\tINITED cov: 17 ft: 20 corp: 2/9b exec/s: 0 rss: 40Mb\n\
            #99\tNEW    cov: 21 ft: 30 corp: 3/12b exec/s: 9 rss: 41Mb\n\
            Done 120 runs in 2 second(s)\nstat::number_of_executed_units: 120\nstat::average_exec_per_sec:     60\n";
        let figures = Figures { runs: 120, before: 17, after: 21, runs_a_second: 60 };
        assert_eq!(Figures::parse(text), figures);
        assert!(figures.row("keys", 0).contains("17 -> 21"));
        assert_eq!(Figures::parse("nothing"), Figures::default());
    }

    #[test]
    fn what_was_saved_for_a_fault_is_a_finding_and_a_slow_input_is_none() {
        let saved = |name| format!("artifact_prefix='a/'; Test unit written to a/{name}\n");
        let text = saved("slow-unit-0a") + "==7== ERROR: libFuzzer\n" + &saved("crash-0a");
        assert_eq!(findings(&text).collect::<Vec<_>>(), [Path::new("a/crash-0a")]);
        assert_eq!(findings("Done 120 runs").count(), 0);
    }

    #[test]
    fn the_host_is_that_of_the_compiler() {
        assert_eq!(
            host("rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\n"),
            Ok("x86_64-unknown-linux-gnu".into())
        );
        assert!(host("").is_err());
    }
}
