//! The maintainer's commands. `cargo xtask help` lists them.
#![expect(clippy::print_stdout, reason = "what these commands print is what they are for")]

mod ci;
mod fuzz;
mod integration;
mod mutate;
mod peers;
mod run;
mod soundness;
mod tidy;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use run::Result;
use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci                  everything that has to pass before a change lands
  integration [ARGS]  every unit, crate, doc and integration test; ARGS go on to cargo test
  fuzz [TARGET ...]   arbitrary bytes for every decoder, --seconds 60 each; what is found fails the run
  mutate [WORDS]      take each flush, rename, lock and check of storage and arrays out: some test has to fail
  soundness           unsafe code under a sanitizer and Miri, threads under random schedules
  tidy                the rules of the workspace that no compiler checks
  package             pack every published crate and build each from its package
  peers               the pinned Python packages to compare with, installed under target/peers
  bench [NAME ...]    the benchmarks against peers; --long runs all of them, --write puts them into docs/benchmarks.md
  help                this text

environment:
  LARDER_REQUIRE_PEERS=1  a test skipped for want of a program or a package fails the run";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().unwrap_or_else(|| "help".into());
    let rest: Vec<OsString> = args.collect();
    match dispatch(&command.to_string_lossy(), &rest) {
        Some(Ok(true)) => ExitCode::SUCCESS,
        Some(Ok(false)) => ExitCode::FAILURE,
        Some(Err(message)) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("xtask: no such command or argument\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Whether the command passed; `None` where there is no such command, or it takes no arguments and was given some.
fn dispatch(command: &str, rest: &[OsString]) -> Option<Result<bool>> {
    Some(match (command, rest) {
        ("integration", _) => Workspace::load().and_then(|it| integration::integration(&it, rest)),
        ("mutate", _) => Workspace::load().and_then(|it| mutate::mutate(&it, rest)),
        ("fuzz", _) => Workspace::load().and_then(|it| fuzz::fuzz(&it, rest)),
        ("bench", _) => Workspace::load().and_then(|it| bench(&it, rest)),
        ("ci", []) => Workspace::load().and_then(|it| ci::ci(&it)),
        ("tidy", []) => Workspace::load().and_then(|it| tidy::tidy(&it)),
        ("soundness", []) => Workspace::load().and_then(|it| soundness::soundness(&it)),
        ("package", []) => Workspace::load().and_then(|it| ci::package(&it)),
        ("peers", []) => Workspace::load().and_then(|it| peers::peers(&it)),
        ("help" | "--help" | "-h", []) => {
            println!("{USAGE}");
            Ok(true)
        }
        _ => return None,
    })
}

fn bench(workspace: &Workspace, args: &[OsString]) -> Result<bool> {
    let mut command = workspace.cargo();
    command.args(["run", "--release", "--package", "larder-bench", "--"]).args(args);
    run::passes(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_commands_and_stray_arguments_are_misuse() {
        assert!(dispatch("deploy", &[]).is_none());
        assert!(dispatch("tidy", &["--fast".into()]).is_none());
        assert!(matches!(dispatch("help", &[]), Some(Ok(true))));
    }

    #[test]
    fn the_usage_names_every_command() {
        for command in [
            "ci",
            "integration",
            "fuzz",
            "mutate",
            "soundness",
            "tidy",
            "package",
            "peers",
            "bench",
            "help",
        ] {
            assert!(
                USAGE.lines().any(|line| line.split_whitespace().next() == Some(command)),
                "{command}"
            );
        }
    }
}
