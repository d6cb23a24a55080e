//! Local storage against object_store's, cacache and bare system calls.

use futures_util::FutureExt;
use larder_storage::Bytes;

use crate::{Outcome, directories::Directories, report::Report};

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
    let dirs = Directories::new()?;
    let mut tables = Vec::new();
    for (label, len) in [("400 B", 400), ("64 KiB", 65_536)] {
        let bytes = Bytes::from(vec![7; len]);
        for fresh in [true, false] {
            let what = if fresh { "a fresh name" } else { "a name in use" };
            let title = format!("put {label} under {what}");
            tables.push(put::unflushed(&title, &dirs.next()?, &bytes, fresh)?);
            tables.push(put::flushed(&format!("{title}, flushed"), &dirs.next()?, &bytes, fresh)?);
        }
        tables.push(read::whole(&format!("get {label}"), &dirs.next()?, &bytes)?);
    }
    tables.push(read::range(&dirs.next()?)?);
    tables.push(list::all(&dirs.next()?)?);
    Ok(Report { about: ABOUT, crates: &["object_store", "cacache"], others: String::new(), tables })
}

/// What a future that never waits ends with: outside a runtime object_store does file work within the call.
fn ready<T>(future: impl Future<Output = T>) -> Outcome<T> {
    future.now_or_never().ok_or_else(|| "a future waited where there is no runtime".into())
}
