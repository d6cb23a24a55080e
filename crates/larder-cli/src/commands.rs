//! What the command does for each subcommand.

use std::process::ExitCode;

use clap::CommandFactory;
use larder::storage::{Result, default_root};

use crate::{
    args::{Arguments, Command, Look},
    output, tour,
};

mod kv;
mod look;

use look::Store;

/// Does what was asked; returns what to exit with.
///
/// # Errors
/// Those of the stores; they say what to do.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let Arguments { root, json, command } = arguments;
    let root = || root.clone().map_or_else(default_root, Ok);
    let look = |stores: &[Store], what| look::run(&root()?, stores, what, json);
    match command {
        Command::Tour { fasta } => tour::run(&root()?, fasta.as_deref(), json),
        Command::Status => look(&Store::ALL, Look::Status),
        Command::Verify => look(&Store::ALL, Look::Verify),
        Command::Repair => look(&Store::ALL, Look::Repair),
        Command::Kv(what) => return kv::run(&root, what, json),
        Command::Array(what) => look(&[Store::Array], what),
        Command::Shards(what) => look(&[Store::Shards], what),
        Command::Dirs(what) => look(&[Store::Dirs], what),
        Command::Provenance(what) => look(&[Store::Provenance], what),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "larder", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
    }?;
    Ok(ExitCode::SUCCESS)
}
