//! What the command does for each subcommand.

use std::{path::Path, process::ExitCode};

use clap::CommandFactory;
use larder::{
    Larder, dir_cache,
    storage::{Result, default_root},
};

use crate::{
    args::{Arguments, Command, Look},
    output, tour,
};

mod array;
mod dirs;
mod kv;
mod look;
mod provenance;
mod shards;

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
        Command::Array(what) => array::run(&root, what, json),
        Command::Shards(what) => return shards::run(&root, what, json),
        Command::Dirs(what) => dirs::run(&root, what, json),
        Command::Provenance(what) => provenance::run(&root, what, json),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "larder", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a root where there is none.
fn make_root(root: &Path) -> Result<()> {
    if !Larder::is_root(root)? {
        let dirs = dir_cache::Options::default().background(false);
        drop(Larder::open_with(root, larder::Options::default().dirs(dirs))?);
    }
    Ok(())
}
