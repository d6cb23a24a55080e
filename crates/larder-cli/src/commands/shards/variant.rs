//! What tells apart the rows of a cache, but for their windows.

use std::collections::BTreeMap;

use arrow_array::{
    RecordBatch,
    cast::AsArray,
    types::{Int8Type, Int32Type},
};
use larder::{
    embedding_shards::{Dtype, EmbeddingCache, PoolType, Scan, WindowKey},
    storage::{Digest, Error, ErrorKind, Result},
};
use serde_json::{Value, json};

use super::own;
use crate::{
    args::KeyFilter,
    output::{self, Table},
};

/// All of a key but its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Variant {
    encoder_hash: [u8; 32],
    layer: i8,
    pool: PoolType,
    radius: u32,
    dtype: Dtype,
}

const COLUMNS: [&str; 5] = ["encoder_hash", "state_layer", "pool_type", "pool_radius", "dtype"];

impl Variant {
    /// The one that a filter lets through, where it says every part.
    pub(super) fn of(filter: &KeyFilter) -> Option<Self> {
        Some(Self {
            encoder_hash: filter.encoder_hash?.0,
            layer: filter.layer?,
            pool: filter.pool?,
            radius: filter.radius?,
            dtype: filter.dtype?,
        })
    }

    pub(super) fn key(&self, window_hash: [u8; 32]) -> WindowKey {
        let Self { encoder_hash, layer, pool, radius, dtype } = *self;
        WindowKey {
            window_hash,
            encoder_hash,
            state_layer: layer,
            pool_type: pool,
            pool_radius: radius,
            dtype,
        }
    }

    /// The options that ask for it.
    pub(super) fn options(&self) -> String {
        let Self { encoder_hash, layer, pool, radius, dtype } = self;
        let hash = Digest::from(*encoder_hash);
        format!(
            "--encoder-hash {hash} --layer {layer} --pool {pool} --radius {radius} --dtype {dtype}"
        )
    }

    fn read(batch: &RecordBatch, row: usize) -> Result<Self> {
        let text = |name| batch[name].as_string::<i32>().value(row);
        let hash = batch["encoder_hash"].as_fixed_size_binary().value(row);
        let radius = batch["pool_radius"].as_primitive::<Int32Type>().value(row);
        let wrong = || Error::new(ErrorKind::Corrupt, "a row has a key that cannot be");
        Ok(Self {
            encoder_hash: hash.try_into().map_err(|_| wrong())?,
            layer: batch["state_layer"].as_primitive::<Int8Type>().value(row),
            pool: text("pool_type").parse()?,
            radius: radius.try_into().map_err(|_| wrong())?,
            dtype: text("dtype").parse()?,
        })
    }
}

/// How many rows a scan finds of each.
///
/// # Errors
/// Those of the scan.
pub(super) fn all(cache: &EmbeddingCache, scan: Scan) -> Result<BTreeMap<Variant, u64>> {
    let mut found = BTreeMap::new();
    for batch in cache.scan(scan.columns(COLUMNS))? {
        let batch = batch.map_err(own)?;
        for row in 0..batch.num_rows() {
            *found.entry(Variant::read(&batch, row)?).or_default() += 1;
        }
    }
    Ok(found)
}

/// Prints how many rows there are of each.
///
/// # Errors
/// Those of the scan.
pub(super) fn show(cache: &EmbeddingCache, json: bool) -> Result<()> {
    let (status, found) = (cache.status()?, all(cache, Scan::default())?);
    if json {
        let rows = found.iter().map(|(variant, rows)| value(variant, *rows)).collect::<Vec<_>>();
        let (shards, bytes) = (status.shards, status.bytes);
        return output::json(&json!({ "shards": shards, "bytes": bytes, "keys": rows }));
    }
    let mut table = Table::new(["encoder", "layer", "pool", "radius", "dtype", "rows"]);
    for (Variant { encoder_hash, layer, pool, radius, dtype }, rows) in found {
        let hash = Digest::from(encoder_hash).to_string();
        let numbers = [layer.to_string(), radius.to_string(), rows.to_string()];
        let [layer, radius, rows] = numbers;
        table.row([hash, layer, pool.to_string(), radius, dtype.to_string(), rows]);
    }
    let (shards, bytes) = (status.shards, output::bytes(status.bytes));
    output::print(&format!("{}\n{shards} shards, {bytes}\n", table.render()))
}

fn value(variant: &Variant, rows: u64) -> Value {
    let Variant { encoder_hash, layer, pool, radius, dtype } = variant;
    json!({
        "encoder_hash": Digest::from(*encoder_hash).to_string(), "state_layer": layer, "pool_type": pool.as_str(),
        "pool_radius": radius, "dtype": dtype.as_str(), "rows": rows,
    })
}
