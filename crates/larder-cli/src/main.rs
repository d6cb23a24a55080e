//! The `larder` command: look inside, check, and a tour of the five stores over a real genome.

mod args;
mod commands;
mod genome;
mod output;
mod report;
mod tour;

use std::process::ExitCode;

use clap::Parser;
use larder::storage::{Error, ErrorKind};

use args::Arguments;

fn main() -> ExitCode {
    match commands::run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("larder: {}", error.chain());
            exit_code(&error)
        }
    }
}

/// 2 where it was asked for in a way that cannot work, 1 where it could have and failed.
fn exit_code(error: &Error) -> ExitCode {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Unsupported => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}
