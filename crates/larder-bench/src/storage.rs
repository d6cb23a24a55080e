//! Local storage against object_store's, cacache and bare system calls.

use std::io;

use futures_util::FutureExt;
use larder_storage::Bytes;
use tempfile::TempDir;

use crate::{Outcome, report::Report};

mod list;
mod put;
mod read;

const ROUNDS: usize = 30;

const ABOUT: &str = "\
Objects as files of one directory, written and read through Larder's `LocalStorage`, object_store's `LocalFileSystem`
(outside a runtime, where it does its work at once), cacache (which hashes what it stores and checks what it reads)
and bare system calls, the floor. Objects are in the page cache when they are read. `Power` is compared with what
flushes files and directories as well. Entries of a listing have a name, a length and a time.";

pub(crate) fn run() -> Outcome<Report> {
    let mut tables = Vec::new();
    for (label, len) in [("400 B", 400), ("64 KiB", 65_536)] {
        let bytes = Bytes::from(vec![7; len]);
        for fresh in [true, false] {
            let what = if fresh { "a fresh name" } else { "a name in use" };
            tables.push(put::unflushed(&format!("put {label} under {what}"), &bytes, fresh)?);
            tables.push(put::flushed(
                &format!("put {label} under {what}, flushed"),
                &bytes,
                fresh,
            )?);
        }
        tables.push(read::whole(&format!("get {label}"), &bytes)?);
    }
    tables.push(read::range()?);
    tables.push(list::all()?);
    Ok(Report { about: ABOUT, peers: &["object_store", "cacache"], tables })
}

/// On the file system that builds lie on, which is seldom one in memory.
fn directory() -> io::Result<TempDir> {
    tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"))
}

/// What a future that never waits ends with: outside a runtime object_store does file work within the call.
fn ready<T>(future: impl Future<Output = T>) -> Outcome<T> {
    future.now_or_never().ok_or_else(|| "a future waited where there is no runtime".into())
}
