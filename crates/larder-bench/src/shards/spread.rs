//! What it takes to get one row by its key out of many shards.

use std::path::Path;

use larder_embedding_shards::{Dtype, EmbeddingCache, Options, WindowKey};

use super::{
    data::{CONTIG, Data, ENCODER},
    row::at_keys,
};
use crate::{
    Outcome,
    directories::Directories,
    rounds::{Table, Turn, compare_turns},
};

const ROUNDS: usize = 10;
/// How many rows each of the many shards has.
const ROWS: usize = 4;

/// The rows, and who has them in many shards.
type Scale = (Data, &'static str);

const LARGE: Scale = (
    Data { name: "40,000 x 1,024 fp16", dtype: Dtype::Fp16, dim: 1024, rows: 40_000 },
    "Larder, 10,000 shards",
);
const SMALL: Scale = (
    Data { name: "4,000 x 1,024 fp16", dtype: Dtype::Fp16, dim: 1024, rows: 4000 },
    "Larder, 1,000 shards",
);

pub(super) fn all(dirs: &Directories, all: bool) -> Outcome<Table> {
    let (data, many) = if all { &LARGE } else { &SMALL };
    eprintln!("filling shards of {ROWS} rows with {}", data.name);
    let keys: Vec<_> = (0..data.rows).map(|row| data.key(row)).collect();
    let in_one = fill(&dirs.next()?, data, data.rows)?;
    let in_many = fill(&dirs.next()?, data, ROWS)?;
    dirs.settle()?;
    let contenders = vec![
        ("Larder, 1 shard", reads(&in_one, data, &keys)),
        (many, reads(&in_many, data, &keys)),
    ];
    compare_turns(&format!("a row by key, {}, in shards", data.name), ROUNDS, contenders)
}

/// A cache of shards of `shard_rows` rows.
fn fill(dir: &Path, data: &Data, shard_rows: usize) -> Outcome<EmbeddingCache> {
    let cache = EmbeddingCache::open(dir, Options::default())?;
    for (block, first) in (0..data.rows).step_by(shard_rows).enumerate() {
        let records = data.records(first..first + shard_rows)?;
        cache.write_shard(ENCODER, CONTIG, block as u64, &records)?;
    }
    Ok(cache)
}

fn reads<'a>(cache: &'a EmbeddingCache, data: &'a Data, keys: &'a [WindowKey]) -> Turn<'a> {
    at_keys(keys, |key| Ok(cache.read(key)?), |found, row| *found == Some(data.embedding(row)))
}
