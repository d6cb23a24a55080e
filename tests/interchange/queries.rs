//! The DuckDB queries on the page of `larder-embedding-shards`, as they are written there, on a cache of ours.

use std::{fs, path::Path};

use larder::embedding_shards::{
    Dtype, Embedding, EmbeddingCache, Options, PoolType, WindowKey, WindowRecord,
};
use serde_json::{Value, json};

use super::run;
use crate::support::repository;

/// Runs the queries of a file and prints the rows of each.
const QUERY: &str = r#"
import json, pathlib, sys
import duckdb
duckdb.sql("CREATE TABLE gene AS SELECT * FROM (VALUES "
           "('A', '21', 5000150, 5000350), ('B', '22', 0, 6000000), ('C', '23', 0, 9)) "
           "AS gene (name, chrom, start_bp, end_bp)")
results = []
for query in json.loads(pathlib.Path(sys.argv[1]).read_text()):
    # One statement at a time, because only the last one's rows are given.
    for statement in duckdb.extract_statements(query):
        result = duckdb.execute(statement)
    results.append([list(row) for row in result.fetchall()])
print(json.dumps(results))
"#;

/// The queries in the order of the page, for the cache in `dir`.
fn documented(dir: &Path) -> Vec<String> {
    let page = repository().join("crates/larder-embedding-shards/src/lib.rs");
    let page = fs::read_to_string(page).unwrap();
    let lines = page.lines().filter_map(|line| line.strip_prefix("//!"));
    let text = lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)));
    let text = text.collect::<String>().replace("DIR", dir.to_str().unwrap());
    let blocks = text.split("```sql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// Windows of 100 bases from base 5,000,000 on, each nearer to the next one than to the one after it.
fn windows(contig: &str, encoder: u8, dtype: Dtype, dim: u16, count: u8) -> Vec<WindowRecord> {
    let row = |number: u8| {
        let key = WindowKey {
            window_hash: [number; 32],
            encoder_hash: [encoder; 32],
            state_layer: 1,
            pool_type: PoolType::GlobalMean,
            pool_radius: 0,
            dtype,
        };
        let values: Vec<f32> =
            (0..dim).map(|i| if i == 0 { f32::from(number) } else { 1.0 }).collect();
        let start = 5_000_000 + i64::from(number) * 100;
        let embedding = Embedding::from_f32(dtype, &values).unwrap();
        WindowRecord::new(contig, start, start + 100, key, embedding).unwrap()
    };
    (0..count).map(row).collect()
}

#[test]
fn the_documented_queries_find_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let cache = EmbeddingCache::open(dir.path(), Options::default()).unwrap();
    for (contig, encoder, dtype, dim, count) in [
        ("21", 1, Dtype::Fp16, 1024, 120),
        // Of another encoder, with another width and in another type.
        ("22", 2, Dtype::Fp32, 3, 4),
    ] {
        let rows = windows(contig, encoder, dtype, dim, count);
        cache.write_shard("org/model", contig, 0, &rows).unwrap();
    }
    let aside = dir.path().join("embeddings/.quarantine/org");
    fs::create_dir_all(&aside).unwrap();
    fs::write(aside.join("damaged.parquet"), "no Parquet").unwrap();

    let queries = dir.path().join("queries.json");
    fs::write(&queries, Value::from(documented(dir.path())).to_string()).unwrap();
    let Some(results) = run("documented queries", QUERY, &[&queries]) else { return };
    let [_, range, join, nearest] = &results.as_array().unwrap()[..] else {
        panic!("other queries are documented: {results}")
    };
    let range = range.as_array().unwrap();
    assert_eq!(range.len(), 100);
    for (number, row) in range.iter().enumerate() {
        let start = 5_000_000 + 100 * number;
        assert_eq!((&row[0], &row[1]), (&json!(start), &json!(start + 100)));
        let embedding = row[2].as_array().unwrap();
        assert_eq!((embedding.len(), &embedding[0]), (1024, &json!(number as f64)));
    }
    assert_eq!(*join, json!([["A", 3], ["B", 4]]));
    let starts: Vec<_> = nearest.as_array().unwrap().iter().map(|row| &row[1]).collect();
    assert_eq!(
        starts,
        (0..10)
            .map(|number| json!(5_000_000 + 100 * number))
            .collect::<Vec<_>>()
            .iter()
            .collect::<Vec<_>>()
    );
    assert_eq!(nearest[0][0], "21");
    assert!((nearest[0][2].as_f64().unwrap() - 1.0).abs() < 1e-6);
}
