//! Embedding shards against a flat file and what else finds embeddings by key.

use larder_embedding_shards::Dtype;

use crate::{Outcome, directories::Directories, report::Report};

mod blobs;
mod data;
mod many;
mod reindex;
mod row;
mod shelf;
mod spread;
mod stream;
mod write;

use data::Data;
use shelf::Shelf;
pub(crate) use stream::child;

/// How many rows a shard has, and what is written at once.
const SHARD_ROWS: usize = 65_536;

/// How many rows geno-lewm is given, which decodes a whole shard to read one.
const FEW_ROWS: usize = 1000;

const ABOUT: &str = "\
Embeddings of random numbers under random hashes as Larder, Lance, DuckDB, pyarrow (a Parquet file and a mapped Arrow
IPC file), SQLite (as BLOBs) and geno-lewm, whose shards Larder reads too, keep them. All files are in the page cache,
and every row was read in Rust, or looked at in a mapped file, before. A row by key begins with the key and ends with
a row in memory that nothing else holds: medians are those of single calls. The floor looks the key up in a `HashMap`
and reads the row from a flat file; Lance, pyarrow and Arrow IPC are given a dictionary from key to row too. Lance
takes the row, and pyarrow reads its row group of 64 rows without compression. DuckDB has a table of BLOBs with a
primary key, as SQLite has, which prepares its statement once, with a read transaction for each row or one for all of
them. geno-lewm reads from a shard of 1,000 rows with zstd, because it decodes all of it. The index alone is
`contains`, which reads no row. Of 256 random rows, the floor, numpy and Lance are told the row numbers: what Larder
takes more has the index in it. The floor, numpy and Larder's matrix put them into one piece of memory. Writes are
told as what 1 GB (1e9 bytes) of embeddings takes, whatever is written: one shard of Larder's, its rows in the index,
or 1,000 rows of geno-lewm's, each in an empty cache; pyarrow writes the same keys and embeddings without compression,
and what is bare writes the embeddings alone. What is made anew is the index, whose bare floor is rows of the same
keys in their order, which replace those of a SQLite table in one transaction. The shards of the last but one table
have 4 rows each, and both caches the same rows; `Options` are those by default, and a process may have 1,024 files
open. Peaks of `RssAnon`, looked at every millisecond, are those of processes of their own, which make the rows as
they write them, in shards of 64 MiB.";

static LARGE: [Data; 2] = [
    Data { name: "65,536 x 1,024 fp16", dtype: Dtype::Fp16, dim: 1024, rows: SHARD_ROWS },
    Data { name: "1,000,000 x 384 fp32", dtype: Dtype::Fp32, dim: 384, rows: 1_000_000 },
];
/// Does not take long.
static SMALL: [Data; 1] =
    [Data { name: "8,192 x 1,024 fp16", dtype: Dtype::Fp16, dim: 1024, rows: 8192 }];

pub(crate) fn run(all: bool) -> Outcome<Report> {
    let dirs = Directories::new()?;
    let (mut tables, mut versions) = (Vec::new(), String::new());
    for data in if all { &LARGE[..] } else { &SMALL } {
        let shelf = Shelf::fill(&dirs, data)?;
        if shelf.python.is_none() {
            eprintln!(
                "shards: nothing in Python takes part: `cargo xtask peers` makes target/peers"
            );
        }
        tables.push(row::all(&shelf)?);
        tables.push(many::all(&shelf)?);
        tables.push(write::all(&shelf)?);
        tables.push(reindex::all(&shelf)?);
        versions = shelf.versions;
    }
    tables.push(spread::all(&dirs, all)?);
    tables.push(stream::all(&dirs, all)?);
    Ok(Report { about: ABOUT, crates: &["parquet", "rusqlite"], others: versions, tables })
}
