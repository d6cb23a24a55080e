//! What it takes to write embeddings.

use std::{
    fs::{self, File},
    io::Write,
};

use larder_embedding_shards::{EmbeddingCache, Options, WindowRecord};
use larder_storage::Durability;
use serde_json::json;

use super::{
    FEW_ROWS,
    data::{CONTIG, ENCODER},
    shelf::{Shelf, scaled},
};
use crate::{
    Outcome,
    rounds::{Table, Turn, compare_turns, once},
};

const ROUNDS: usize = 5;
const GB: f64 = 1e9;

pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Table> {
    let rows = shelf.written();
    let bytes: Vec<u8> = (0..rows).flat_map(|row| shelf.data.row(row)).collect();
    let records = shelf.data.records(0..rows)?;
    let mut contenders =
        vec![("bare write", bare(shelf, &bytes)?), ("Larder", larder(shelf, &records)?)];
    for (name, kind, rows) in [("pyarrow", "parquet", rows), ("geno-lewm", "geno", FEW_ROWS)] {
        let dir = shelf.dirs.next()?.join("written");
        contenders.extend(shelf.remote(name, per_gb(shelf, rows), move |round| {
            json!({ "request": "write", "kind": kind, "dir": dir, "rows": rows, "check": round == 0 })
        }));
    }
    let title = format!("write, told for 1 GB, {}", shelf.data.name);
    compare_turns(&title, ROUNDS, contenders)
}

/// What the time that these rows take is multiplied by.
fn per_gb(shelf: &Shelf<'_>, rows: usize) -> f64 {
    GB / (rows * shelf.data.row_bytes()) as f64
}

fn bare<'a>(shelf: &'a Shelf<'_>, bytes: &'a [u8]) -> Outcome<Turn<'a>> {
    let path = shelf.dirs.next()?.join("bare");
    let scale = per_gb(shelf, shelf.written());
    Ok(Box::new(move |_| {
        shelf.dirs.settle()?;
        let took = once(|| Ok(File::create(&path)?.write_all(bytes)?))?;
        fs::remove_file(&path)?;
        Ok(scaled(took, scale))
    }))
}

fn larder<'a>(shelf: &'a Shelf<'_>, records: &'a [WindowRecord]) -> Outcome<Turn<'a>> {
    let dir = shelf.dirs.next()?.join("larder");
    let scale = per_gb(shelf, records.len());
    Ok(Box::new(move |round| {
        let options = Options::default().durability(Durability::Process);
        let cache = EmbeddingCache::open(&dir, options)?;
        shelf.dirs.settle()?;
        let took = once(|| {
            cache.write_shard(ENCODER, CONTIG, 0, records)?;
            Ok(())
        })?;
        if round == 0 {
            check(&cache, records)?;
        }
        drop(cache);
        fs::remove_dir_all(&dir)?;
        Ok(scaled(took, scale))
    }))
}

fn check(cache: &EmbeddingCache, records: &[WindowRecord]) -> Outcome {
    for record in records {
        if cache.read(&record.key)?.as_ref() != Some(&record.embedding) {
            return Err("a row is not what was written".into());
        }
    }
    Ok(())
}
