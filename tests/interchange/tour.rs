//! numpy, pyarrow and sqlite3 open what Larder wrote, and see the same numbers.

use larder::{
    Larder, Options,
    embedding_shards::{Dtype, Embedding, PoolType, WindowKey},
    kv_cache::Lookup,
};
use serde_json::{Map, Value, json};

use super::{hash, hex, run};
use crate::support::json;

/// Prints what numpy, pyarrow and sqlite3 see under a root: each array, each embedding and each cached record.
const PROGRAM: &str = r#"
import json, pathlib, sqlite3, sys
import numpy, pyarrow.parquet

root = pathlib.Path(sys.argv[1])
arrays = {}
for path in root.glob("arrays/**/*.npy"):
    array = numpy.load(path, allow_pickle=False)
    sidecar = json.loads((path.parent / (path.stem + ".meta.json")).read_text())
    assert list(array.shape) == sidecar["shape"] and array.dtype.str == sidecar["dtype"], (path, sidecar)
    key = (path.parent / path.stem).relative_to(root / "arrays").as_posix()
    arrays[key] = {"shape": list(array.shape), "dtype": array.dtype.str, "bytes": array.tobytes().hex()}

embeddings = []
for path in root.glob("shards/embeddings/**/*.parquet"):
    for row in pyarrow.parquet.read_table(path).to_pylist():
        assert row["schema_version"] == "1.0.0" and row["dtype"] == "fp32" and row["pool_type"] == "global_mean"
        assert row["end_bp"] - row["start_bp"] == 1000
        values = numpy.array(row["embedding"], "<f4").tobytes()
        embeddings.append([row["window_hash"].hex(), row["encoder_hash"].hex(), values.hex()])

records = {}
for path in root.glob("kv/**/*.sqlite"):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for key, value in database.execute("SELECT key, value FROM live_entry"):
        records[key] = json.loads(value)
    database.close()

print(json.dumps({"arrays": arrays, "embeddings": embeddings, "records": records}))
"#;

#[test]
fn numpy_pyarrow_and_sqlite3_see_the_numbers_of_the_tour() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    json(&root, &["tour"]);
    let Some(theirs) = run("numpy, pyarrow and sqlite3", PROGRAM, &[&root]) else { return };

    let larder = Larder::open_existing(&root, Options::default()).unwrap();
    assert!(theirs["arrays"] == arrays(&larder), "arrays differ");
    assert_eq!(theirs["records"], records(&larder));
    let embeddings = theirs["embeddings"].as_array().unwrap();
    assert_eq!(embeddings.len(), 476);
    for row in embeddings {
        assert_eq!(row[2].as_str(), Some(&*embedding(&larder, row)));
    }
}

fn arrays(larder: &Larder) -> Value {
    let keys = larder.arrays().keys().unwrap();
    assert_eq!(keys.len(), 2);
    let seen = keys.into_iter().map(|key| {
        let array = larder.arrays().get::<f32>(key.as_str()).unwrap().unwrap().read().unwrap();
        let bytes = hex(array.iter().flat_map(|value| value.to_le_bytes()));
        (key.to_string(), json!({ "shape": array.shape(), "dtype": "<f4", "bytes": bytes }))
    });
    Value::Object(seen.collect())
}

fn records(larder: &Larder) -> Value {
    let cache = larder.kv("orfs").unwrap();
    let keys = cache.keys().unwrap();
    assert_eq!(keys.len(), 67);
    let records = keys.into_iter().map(|key| match cache.get::<Value>(&key).unwrap() {
        Lookup::Hit(value) => (key, value),
        other => panic!("{key}: {other:?}"),
    });
    Value::Object(records.collect::<Map<_, _>>())
}

fn embedding(larder: &Larder, row: &Value) -> String {
    let key = WindowKey {
        window_hash: hash(&row[0]),
        encoder_hash: hash(&row[1]),
        state_layer: 0,
        pool_type: PoolType::GlobalMean,
        pool_radius: 0,
        dtype: Dtype::Fp32,
    };
    match larder.shards().read(&key).unwrap() {
        Some(Embedding::Fp32(values)) => hex(values.iter().flat_map(|value| value.to_le_bytes())),
        other => panic!("{key:?}: {other:?}"),
    }
}
