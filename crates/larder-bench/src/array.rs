//! Lazy arrays against bare system calls and what else keeps arrays on a disk.

use crate::{Outcome, directories::Directories, report::Report};

mod cold;
mod load;
mod many;
mod map;
mod offload;
mod row;
mod shelf;
mod stream;
mod sum;

use shelf::Shelf;
pub(crate) use stream::child;

/// So that a row is 8 KiB of `f32`.
const COLUMNS: usize = 2048;
const ROW: usize = COLUMNS * size_of::<f32>();
const MIB: usize = 1 << 20;

const ABOUT: &str = "\
One array of `f32`, a row of which is 8 KiB, as Larder, numpy, ndarray-npy, safetensors (the Rust crate), zarr (in
uncompressed chunks of 32 rows) and gsegutils, whose pairs of `.npy` and `.meta.json` Larder reads and writes too,
keep it. What is bare is system calls on a file of nothing but the elements; numpy reserves the room of a file, as one
of the bare writes does, and another one frees as much memory as it writes, as a spill does. Files are in the page
cache, but for what is read from the disk. An array that is offloaded was edited before: Larder spills it at `Scratch`
and flushes it at `Power`, which replaces the published file; a new array replaces none. gsegutils moves an array in
memory to its own file, flushes that file where it was mapped and edited, or makes a pair of it, and waits for the
disk each time. A load ends with the first element: what is mapped is read when it is used. Rows are drawn at random
and timed 4,000 at a time, in arrays of which every page was looked at. Without loading, a row is read from an array
that stays on the disk. Bytes read from the disk are what the system counts for the process, which finds nothing of
the file in the page cache. Sums are not the first ones. Peaks of `RssAnon`, looked at every millisecond, are those of
processes of their own: one appends chunks of 1 MiB to an array, one reads that in such chunks, and one edits arrays
of a quarter of the budget each, so that they are spilled, and reads all of them again. The arrays of the store of
many have 16 elements each.";

/// How much there is to do.
struct Scale {
    /// Bytes of the array.
    array: usize,
    /// Bytes of what streams.
    streamed: usize,
    /// Bytes of memory for that.
    budget: usize,
}

const LARGE: Scale = Scale { array: 500 * MIB, streamed: 4096 * MIB, budget: 256 * MIB };
/// Does not take long.
const SMALL: Scale = Scale { array: 64 * MIB, streamed: 512 * MIB, budget: 32 * MIB };

pub(crate) fn run(all: bool) -> Outcome<Report> {
    let scale = if all { LARGE } else { SMALL };
    let dirs = Directories::new()?;
    let shelf = Shelf::fill(&dirs, scale.array / ROW)?;
    if shelf.python.is_none() {
        eprintln!("array: nothing in Python takes part: `cargo xtask peers` makes target/peers");
    }
    let mut tables = vec![offload::unflushed(&shelf)?, offload::flushed(&shelf)?];
    tables.push(load::all(&shelf)?);
    tables.extend(row::all(&shelf)?);
    tables.extend(cold::all(&shelf)?);
    tables.extend(sum::all(&shelf)?);
    tables.push(stream::all(&dirs, &scale)?);
    tables.push(many::all(&shelf)?);
    let crates = &["ndarray", "ndarray-npy", "safetensors"];
    Ok(Report { about: ABOUT, crates, others: shelf.versions.clone(), tables })
}
