//! Side-by-side benchmarks: each contender takes its turn in every round, and medians are told as ratios to the floor.
//!
//! `cargo xtask bench [NAME ...]` prints Markdown tables.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "the floor is bare system calls")]

use std::{env, error::Error, process::ExitCode};

mod rounds;
mod storage;

/// What a benchmark ends with.
type Outcome = Result<(), Box<dyn Error>>;

/// A benchmark, by the name that asks for it.
struct Benchmark {
    name: &'static str,
    run: fn() -> Outcome,
}

const BENCHMARKS: [Benchmark; 1] = [Benchmark { name: "storage", run: storage::run }];

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).collect();
    let is_known = |name: &String| BENCHMARKS.iter().any(|benchmark| benchmark.name == name);
    if let Some(unknown) = wanted.iter().find(|name| !is_known(name)) {
        let known: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        eprintln!("no benchmark is named '{unknown}': choose from {}", known.join(", "));
        return ExitCode::from(2);
    }
    for Benchmark { name, run } in BENCHMARKS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("## {name}\n");
        if let Err(error) = run() {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
