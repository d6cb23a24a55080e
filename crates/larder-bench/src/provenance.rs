//! Results by what made them, against what else remembers results.

use crate::{Outcome, directories::Directories, peer::Interpreter, report::Report};

mod graph;
mod hit;
mod key;
mod list;

const ABOUT: &str = "\
Results of 1 KiB, each of an operation, an input and five parameters. A hit gives the bytes of a result that is there,
from its provenance on: Larder hashes that for the key, looks the record up, reads the payload and checks it against its
digest. The floor of a hit opens a file whose name is known, reads it, and hashes it with BLAKE3; `HashMap` has the same
bytes under texts. joblib's `Memory` and diskcache's `memoize` are called with the same six arguments. What seqchain does
is a dictionary from a tuple of operation, inputs and parameters to an id, and one from ids to results; calls that take
about a microsecond are timed by the hundred. An array of 100 MB is an argument of joblib's as it is, which hashes it at
each call, and an input of Larder's by a digest that is known. A key is that of 20 parameters: texts, whole numbers,
floats and truth values; its floor is BLAKE3 of as many bytes as Larder encodes them in. The graph has five inputs for
each record, drawn among those before it; what is asked for are the first 1,000 records that were made from one of the
first. Its floor is a bare table of edges in SQLite that a common table expression walks; there the same records are
found, but in another order where they are equally far. A listing reads all records of tracks of one store without their
payloads, and its floor is a select of as many texts of the same length from a bare table.";

pub(crate) fn run(all: bool) -> Outcome<Report> {
    let dirs = Directories::new()?;
    let python = Interpreter::start("provenance/peer.py")?;
    if python.is_none() {
        eprintln!(
            "provenance: nothing in Python takes part: `cargo xtask peers` makes target/peers"
        );
    }
    let python = python.as_ref();
    let mut tables = vec![
        hit::small(&dirs, python)?,
        hit::large(&dirs, python)?,
        key::of_20_parameters(python)?,
        list::all(&dirs, if all { 100_000 } else { 10_000 })?,
    ];
    tables.push(graph::descendants(&dirs, if all { 200_000 } else { 20_000 })?);
    let others = match python {
        Some(python) => python.ask(&serde_json::json!({ "request": "hello" }))?,
        None => String::new(),
    };
    Ok(Report { about: ABOUT, crates: &["rusqlite"], others, tables })
}
