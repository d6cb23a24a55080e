//! How much memory it takes to write more rows than fit into it.

use std::path::PathBuf;

use larder_embedding_shards::{EmbeddingCache, Options};
use larder_storage::Durability;
use serde::{Deserialize, Serialize};

use super::{
    LARGE, SMALL,
    data::{CONTIG, Data, ENCODER},
};
use crate::{
    Outcome,
    directories::Directories,
    peak,
    rounds::{Row, Table, Unit},
};

/// What one process may take.
const LIMIT: f64 = (256 << 20) as f64;
/// How many rows are made at once.
const BATCH: usize = 1024;

/// What a process does before it prints its peak.
#[derive(Serialize, Deserialize)]
struct Task {
    dir: PathBuf,
    all: bool,
    rows: usize,
}

pub(super) fn all(dirs: &Directories, all: bool) -> Outcome<Table> {
    let data = data(all);
    let title = format!("peak of anonymous memory, {} through `ShardWriter`", data.name);
    eprintln!("{title}");
    let row = |name: String, value| Row { name, value, of_floor: value / LIMIT };
    let mut rows = vec![row("the limit".into(), LIMIT)];
    for part in [10, 1] {
        let rows_of_part = data.rows / part;
        let peak = peak::of("shards", &Task { dir: dirs.next()?, all, rows: rows_of_part })?;
        rows.push(row(format!("Larder, {rows_of_part} rows"), peak));
    }
    Ok(Table { title, unit: Unit::Bytes, rounds: 1, things: 1, rows })
}

/// Does the task of a process whose memory is measured.
pub(crate) fn child(task: &str) -> Outcome {
    let Task { dir, all, rows } = serde_json::from_str(task)?;
    let options = Options::default().durability(Durability::Scratch);
    let cache = EmbeddingCache::open(dir, options)?;
    let mut writer = cache.writer(ENCODER, CONTIG, 0);
    for first in (0..rows).step_by(BATCH) {
        writer.write(data(all).records(first..rows.min(first + BATCH))?)?;
    }
    let shards = writer.finish()?.len() as u64;
    let status = cache.status()?;
    if (status.rows, status.shards) == (rows as u64, shards) {
        Ok(())
    } else {
        Err("not all rows were written".into())
    }
}

/// The widest rows are the most to hold.
fn data(all: bool) -> &'static Data {
    if all { &LARGE[1] } else { &SMALL[0] }
}
