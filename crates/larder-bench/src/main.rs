//! Side-by-side benchmarks: each contender takes its turn in every round, and medians are told as ratios to the floor.
//!
//! `cargo xtask bench [NAME ...]` prints Markdown tables; `--write` puts them into `docs/benchmarks.md`, with a chart
//! each. Without `--write` or `--long`, what takes more than about three minutes is left out.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "the floor is bare system calls")]

use std::{env, error::Error, process::ExitCode};

mod array;
mod chart;
mod directories;
mod dirs;
mod kv;
mod machine;
mod peak;
mod peer;
mod provenance;
mod random;
mod report;
mod rounds;
mod shards;
mod storage;

use report::Report;

/// What a benchmark ends with.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A benchmark, by the name that asks for it.
struct Benchmark {
    name: &'static str,
    /// Runs it: all of it, or what does not take long.
    run: fn(all: bool) -> Outcome<Report>,
}

const OPTIONS: [&str; 2] = ["--long", "--write"];

const BENCHMARKS: [Benchmark; 6] = [
    Benchmark { name: "storage", run: |_| storage::run() },
    Benchmark { name: "kv", run: kv::run },
    Benchmark { name: "array", run: array::run },
    Benchmark { name: "shards", run: shards::run },
    Benchmark { name: "dirs", run: dirs::run },
    Benchmark { name: "provenance", run: provenance::run },
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [first, benchmark, task] = &args[..]
        && first == peak::CHILD
    {
        return ended(benchmark, peak::child(benchmark, task));
    }
    let (options, wanted): (Vec<String>, Vec<String>) =
        args.into_iter().partition(|arg| arg.starts_with("--"));
    let write = options.iter().any(|option| option == "--write");
    // The page always shows all.
    let all = write || options.iter().any(|option| option == "--long");
    let is_known = |name: &&String| BENCHMARKS.iter().any(|benchmark| benchmark.name == **name);
    let unknown = options.iter().filter(|option| !OPTIONS.contains(&option.as_str()));
    if let Some(unknown) = unknown.chain(wanted.iter().filter(|name| !is_known(name))).next() {
        let known: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        eprintln!("'{unknown}' is no option and no benchmark: choose from {}", known.join(", "));
        return ExitCode::from(2);
    }
    let is_wanted = |name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    for benchmark in BENCHMARKS.iter().filter(|benchmark| is_wanted(benchmark.name)) {
        let outcome = tell(benchmark, write, all);
        if outcome.is_err() {
            return ended(benchmark.name, outcome);
        }
    }
    ExitCode::SUCCESS
}

/// Says what went wrong, if anything.
fn ended(name: &str, outcome: Outcome) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    eprintln!("{name}: {error}");
    ExitCode::FAILURE
}

fn tell(benchmark: &Benchmark, write: bool, all: bool) -> Outcome {
    let report = (benchmark.run)(all)?;
    println!("{}", report.markdown());
    if write { report::write(benchmark.name, &report) } else { Ok(()) }
}
