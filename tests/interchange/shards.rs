//! geno-lewm 0.2.1: its `write_shard`, `read_embedding` and `reindex_cache`, and our `EmbeddingCache`, on one directory.

use std::{path::Path, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use larder::{
    embedding_shards::{
        Dtype, Embedding, EmbeddingCache, Group, Options, PoolType, WindowKey, WindowRecord, bf16,
        f16,
    },
    storage::ErrorKind,
};
use serde_json::{Value, json};

use super::{hash, hex, run};

mod kept;

const COMMON: &str = r#"
import json, pathlib, struct, sys
from geno_lewm.encoder.cache import (
    WindowCacheKey, WindowCacheRecord, read_embedding, reindex_cache, repair_cache, write_shard)

root = pathlib.Path(sys.argv[1])

def bits(embedding):
    return "".join(struct.pack("<f", value).hex() for value in embedding)

def key_of(row):
    return WindowCacheKey(
        window_hash=bytes.fromhex(row["window_hash"]), encoder_hash=bytes.fromhex(row["encoder_hash"]),
        state_layer=row["state_layer"], pool_type=row["pool_type"], pool_radius=row["pool_radius"], dtype=row["dtype"])
"#;

/// Writes four shards, every value of which is a half-precision one, and prints their rows.
const WRITE: &str = r#"
VALUES = [1.5, -0.0, float("inf"), 65504.0, 2.0 ** -24, -3.140625, float("-inf"), 0.25]
rows = []
for contig, block, pool, radius, layer in [
    ("21", 0, "centered_mean", 128, 3), ("21", 1, "global_mean", 0, -1), ("X/alt", 0, "attention", 7, 127),
    ("caf\u00e9", 2, "centered_mean", 0, 0)]:
    records = []
    for number, dtype in enumerate(["fp16", "bf16", "fp32"] * 3):
        records.append(WindowCacheRecord(
            chrom=contig, start_bp=number * 100, end_bp=number * 100 + 64,
            window_hash=bytes([len(rows) + number]) * 32, encoder_hash=bytes([7]) * 32, state_layer=layer,
            pool_type=pool, pool_radius=radius, dtype=dtype,
            embedding=tuple(VALUES[number % 3:] + VALUES[:number % 3]), untargeted=number % 2 == 0))
    write_shard(root, encoder_id="org/model", contig=contig, stride_block=block, records=records)
    for record in records:
        rows.append({
            "window_hash": record.window_hash.hex(), "encoder_hash": record.encoder_hash.hex(),
            "state_layer": record.state_layer, "pool_type": record.pool_type, "pool_radius": record.pool_radius,
            "dtype": record.dtype, "bits": bits(record.embedding)})
print(json.dumps(rows))
"#;

/// Reads the rows whose keys are in the file that is the second argument, and gives their bits, or null for a miss.
const READ: &str = r#"
rows = json.loads(pathlib.Path(sys.argv[2]).read_text())
found = [read_embedding(root, key_of(row)) for row in rows]
print(json.dumps([None if embedding is None else bits(embedding) for embedding in found]))
"#;

/// Repairs, which reindexes, and prints the figures.
const REPAIR: &str = r#"
report = repair_cache(root)
print(json.dumps({"checked": report.checked_shards, "quarantined": len(report.quarantined),
                  "shards": report.reindex.indexed_shards, "rows": report.reindex.indexed_rows}))
"#;

fn python(program: &str, args: &[&Path]) -> Option<Value> {
    run("shards of geno-lewm", &format!("{COMMON}{program}"), args)
}

fn open(root: &Path) -> EmbeddingCache {
    EmbeddingCache::open(root, Options::default()).unwrap()
}

fn key(row: &Value) -> WindowKey {
    WindowKey {
        window_hash: hash(&row["window_hash"]),
        encoder_hash: hash(&row["encoder_hash"]),
        state_layer: row["state_layer"].as_i64().unwrap().try_into().unwrap(),
        pool_type: row["pool_type"].as_str().unwrap().parse().unwrap(),
        pool_radius: row["pool_radius"].as_u64().unwrap().try_into().unwrap(),
        dtype: row["dtype"].as_str().unwrap().parse().unwrap(),
    }
}

fn bits(embedding: &Embedding) -> String {
    hex(embedding.to_f32().into_iter().flat_map(f32::to_le_bytes))
}

/// A row as the programs take and print it.
fn row(record: &WindowRecord) -> Value {
    let WindowKey { window_hash, encoder_hash, state_layer, pool_type, pool_radius, dtype } =
        record.key;
    json!({
        "window_hash": hex(window_hash), "encoder_hash": hex(encoder_hash), "state_layer": state_layer,
        "pool_type": pool_type.as_str(), "pool_radius": pool_radius, "dtype": dtype.as_str(),
        "bits": bits(&record.embedding),
    })
}

/// Rows of one shard, with values that only their own type can hold.
fn records(dtype: Dtype, contig: &str, first: u8) -> Vec<WindowRecord> {
    let own = match dtype {
        Dtype::Fp16 => [65_504.0, f32::from_bits(0x3380_0000), -0.0],
        Dtype::Bf16 => [3.389_531_4e38, 1e-38, f32::NEG_INFINITY],
        Dtype::Fp32 => [1e6, 1.000_000_1, 1e-45],
    };
    let record = |number: u8| {
        let key = WindowKey {
            window_hash: [first + number; 32],
            encoder_hash: [9; 32],
            state_layer: -2,
            pool_type: PoolType::GlobalMean,
            pool_radius: 0,
            dtype,
        };
        let values = [own[0], own[1], own[2], f32::from(number), f32::INFINITY];
        let embedding = Embedding::from_f32(dtype, &values).unwrap();
        let start = i64::from(number) * 100;
        WindowRecord::new(contig, start, start + 64, key, embedding).unwrap()
    };
    (0..20).map(record).collect()
}

#[test]
fn what_the_package_wrote_is_read_here() {
    let dir = tempfile::tempdir().unwrap();
    let Some(rows) = python(WRITE, &[dir.path()]) else { return };
    let rows = rows.as_array().unwrap();
    let cache = open(dir.path());
    assert_eq!((cache.status().unwrap().rows, cache.skipped().len()), (36, 0));
    for row in rows {
        // It keeps half precision whatever the key says.
        let embedding = cache.read(&key(row)).unwrap().unwrap();
        assert_eq!(
            (embedding.dtype(), bits(&embedding).into()),
            (Dtype::Fp16, row["bits"].clone())
        );
    }
    let report = cache.verify().unwrap();
    assert!(report.is_clean() && (report.shards, report.rows) == (4, 36), "{report:?}");
    let report = cache.reindex().unwrap();
    assert_eq!((report.indexed_shards, report.indexed_rows, report.problems.len()), (4, 36, 0));

    // A key that one of its shards holds is not written again elsewhere.
    let taken = key(&rows[0]);
    let embedding = Embedding::from_f32(Dtype::Fp16, &[0.5; 8]).unwrap();
    let again = WindowRecord::new("21", 0, 64, taken, embedding).unwrap();
    let refused = cache.write_shard("org/model", "21", 0, &[again]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[test]
fn what_is_written_here_is_read_by_the_package_after_its_own_reindexing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(rows) = python(WRITE, &[dir.path()]) else { return };
    let theirs = rows.as_array().unwrap().clone();
    let cache = open(dir.path());
    let mut ours = Vec::new();
    for (dtype, group, first) in [
        (Dtype::Fp16, Group::from("1"), 100),
        (Dtype::Bf16, Group::from("a/b"), 120),
        (Dtype::Fp32, Group::Collection("é".into()), 140),
    ] {
        let records = records(dtype, group.name(), first);
        cache.write_shard("org/model", group, 0, &records).unwrap();
        ours.extend(records.iter().map(row));
    }
    let keys = dir.path().join("keys.json");
    let all = Value::from([theirs, ours].concat());
    std::fs::write(&keys, all.to_string()).unwrap();
    let bits: Vec<_> = all.as_array().unwrap().iter().map(|row| row["bits"].clone()).collect();

    // Its index knows what it wrote itself.
    let read = || python(READ, &[dir.path(), &keys]).unwrap();
    let found = read();
    let found = found.as_array().unwrap();
    assert!(found[..36] == bits[..36] && found[36..].iter().all(Value::is_null));

    let report = python(REPAIR, &[dir.path()]).unwrap();
    assert_eq!(report, json!({"checked": 7, "quarantined": 0, "shards": 7, "rows": 96}));
    assert_eq!(read(), Value::from(bits));
    assert!(open(dir.path()).verify().unwrap().is_clean());
}

/// Reads every shard below the directory with pyarrow and with DuckDB, which have to agree, and prints the bits of each
/// row by its file's dtype and width, and by its hash.
const SCAN: &str = r#"
import duckdb, json, numpy as np, pathlib, pyarrow.parquet as pq, sys
shards = {}
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.parquet")):
    table = pq.read_table(path)
    column = table["embedding"].combine_chunks()
    dim = column.type.list_size
    rows = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dim)
    hashes = [value.as_py().hex() for value in table["window_hash"]]
    query = "SELECT window_hash, embedding, note FROM read_parquet(?) ORDER BY start_bp"
    theirs = duckdb.execute(query, [str(path)]).fetchall()
    assert [bytes(row[0]).hex() for row in theirs] == hashes
    assert np.array_equal(np.array([row[1] for row in theirs], dtype=np.float32), rows.astype(np.float32), equal_nan=True)
    notes = table["note"].to_pylist()
    assert notes == [f"note {i}" if i % 3 else None for i in range(len(notes))]
    assert [row[2] for row in theirs] == notes
    shards[f'{table["dtype"][0].as_py()} {dim}'] = dict(zip(hashes, (row.tobytes().hex() for row in rows)))
print(json.dumps(shards))
"#;

/// Bits of any kind, with the payloads of NaNs, by the place of the number.
fn any_bits(dtype: Dtype, dim: usize, row: usize) -> Embedding {
    let bits = |i: usize| ((row * dim + i) as u32).wrapping_mul(0x0109_0731);
    match dtype {
        Dtype::Fp16 => Embedding::Fp16((0..dim).map(|i| f16::from_bits(bits(i) as u16)).collect()),
        Dtype::Bf16 => Embedding::Bf16((0..dim).map(|i| bf16::from_bits(bits(i) as u16)).collect()),
        Dtype::Fp32 => Embedding::Fp32((0..dim).map(|i| f32::from_bits(bits(i))).collect()),
    }
}

/// The bytes that a shard holds of an embedding.
fn stored_bits(embedding: &Embedding) -> String {
    match embedding {
        Embedding::Fp16(values) => hex(values.iter().flat_map(|value| value.to_le_bytes())),
        Embedding::Bf16(values) => {
            hex(values.iter().flat_map(|value| (u32::from(value.to_bits()) << 16).to_le_bytes()))
        }
        Embedding::Fp32(values) => hex(values.iter().flat_map(|value| value.to_le_bytes())),
    }
}

#[test]
fn pyarrow_and_duckdb_read_rows_of_any_width_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    let mut expected = serde_json::Map::new();
    // The rows exceed a page of 8,192 rows or of 1 MiB.
    for (dtype, dim, rows) in [
        (Dtype::Fp16, 1, 8_200),
        (Dtype::Fp32, 7, 8_200),
        (Dtype::Bf16, 8, 100),
        (Dtype::Fp32, 9, 100),
        (Dtype::Fp16, 1023, 530),
        (Dtype::Bf16, 1025, 260),
    ] {
        let record = |row: usize| {
            let mut window_hash = [dim as u8; 32];
            window_hash[..8].copy_from_slice(&(row as u64).to_be_bytes());
            let key = WindowKey {
                window_hash,
                encoder_hash: [9; 32],
                state_layer: 1,
                pool_type: PoolType::GlobalMean,
                pool_radius: 0,
                dtype,
            };
            let (start, embedding) = (row as i64, any_bits(dtype, dim, row));
            WindowRecord::new("1", start, start + 1, key, embedding).unwrap()
        };
        let records: Vec<_> = (0..rows).map(record).collect();
        let notes: StringArray =
            (0..rows).map(|row| (row % 3 > 0).then(|| format!("note {row}"))).collect();
        let column: ArrayRef = Arc::new(notes);
        let extra = RecordBatch::try_from_iter([("note", column)]).unwrap();
        cache.write_shard_with("enc", "1", dim as u64, &records, &extra).unwrap();
        let rows = records.iter().map(|record| {
            (hex(record.key.window_hash), Value::from(stored_bits(&record.embedding)))
        });
        expected.insert(format!("{dtype} {dim}"), rows.collect());
    }
    assert!(cache.verify().unwrap().is_clean());
    let Some(found) = run("shards in DuckDB", SCAN, &[dir.path()]) else { return };
    // Not compared by assert_eq, which would print all of it.
    for (shard, rows) in &expected {
        assert!(found[shard] == *rows, "{shard}");
    }
    assert_eq!(found.as_object().unwrap().len(), expected.len());
}
