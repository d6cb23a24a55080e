//! The stores, each with a little of everything that it keeps.

use std::{fmt::Debug, fs, path::Path};

use larder::{
    Larder, MARKER,
    dir_cache::{self, DirCache},
    embedding_shards::{self, Dtype, Embedding, EmbeddingCache, PoolType, WindowKey, WindowRecord},
    kv_cache::{self, KvCache},
    lazy_array::{self, ArrayStore, MemoryBudget, ndarray::Array2, ndarray::ShapeBuilder},
    provenance::{self, Genome, Id, Json, Payload, Provenance, ProvenanceStore},
    storage::{Durability, Result},
};

use super::{Look, Specimen};

#[test]
fn lookups() {
    let specimen = Specimen::new(
        |dir| {
            let cache = KvCache::open(dir, "genes", kv()).unwrap();
            cache.set_many(["a", "b", "c"].map(|key| (key, vec![key.repeat(200)]))).unwrap();
        },
        |dir| {
            let cache = KvCache::open(dir, "genes", kv())?;
            let clean = cache.verify()?.is_clean();
            let read = |key: &str| {
                let value = cache.get::<Vec<String>>(key).map(|found| found.hit());
                (key.to_owned(), value.map(|value| value.map(|value| value.concat())))
            };
            Ok(Look { clean, items: ["a", "b", "c"].map(read).into() })
        },
    );
    let unchecked = ["entry.written_at", "entry.expires_at", "entry.is_tagged"];
    specimen.columns_unnoticed("genes.sqlite", &unchecked);
    specimen.nothing_is_noticed(".sqlite.init");
    specimen.nothing_is_noticed(".sqlite.write");
    assert_eq!(specimen.files.len(), 3);
}

fn kv() -> kv_cache::Options {
    kv_cache::Options::default().durability(Durability::Scratch)
}

#[test]
fn arrays() {
    let specimen = Specimen::new(
        |dir| {
            let array = Array2::from_shape_fn((9, 7).f(), |(i, j)| (i * 7 + j) as f32 / 3.0);
            arrays_in(dir).unwrap().insert("a", array).unwrap();
        },
        |dir| {
            let store = arrays_in(dir)?;
            let clean = store.verify()?.is_clean();
            let read = || {
                let Some(array) = store.get::<f32>("a")? else { return Ok(None) };
                Ok(Some(format!("{:?}", array.read()?.view())))
            };
            Ok(Look { clean, items: vec![("a".to_owned(), read())] })
        },
    );
    specimen.all_is_noticed("a.npy");
    specimen.fields_unnoticed(
        "a.meta.json",
        &["automatic_offloading", "enable_caching", "larder", "purge_disk_on_gc"],
    );
    specimen.nothing_is_noticed("array-changes");
    assert_eq!(specimen.files.len(), 3);
}

fn arrays_in(dir: &Path) -> Result<ArrayStore> {
    let options = lazy_array::Options::default().durability(Durability::Scratch);
    ArrayStore::open(dir, options.budget(MemoryBudget::bytes(1 << 20)))
}

#[test]
fn embeddings() {
    let specimen = Specimen::new(
        |dir| {
            let record = |n| {
                let start = i64::from(n) * 100;
                WindowRecord::new("21", start, start + 64, window(n), values(n)).unwrap()
            };
            let records: Vec<_> = (1..=6).map(record).collect();
            shards_in(dir).unwrap().write_shard("model", "21", 0, &records).unwrap();
        },
        |dir| {
            let cache = shards_in(dir)?;
            let clean = cache.verify()?.is_clean() && cache.skipped().is_empty();
            let read = |n| {
                let found = cache.read(&window(n));
                (
                    n.to_string(),
                    found.map(|found| found.map(|values| format!("{:x?}", bits(&values)))),
                )
            };
            Ok(Look { clean, items: (1..=6).map(read).collect() })
        },
    );
    specimen.columns_unnoticed(
        "shards.sqlite",
        &["shard.rows", "sqlite_sequence.name", "sqlite_sequence.seq"],
    );
    // A shard's framing has no checksum; verified and read it gives the same rows, or it is noticed.
    let shard = specimen.file(".parquet");
    let values: Vec<u8> =
        (1..=6).flat_map(|n| bits(&values(n))).flat_map(u32::to_le_bytes).collect();
    let hashes: Vec<u8> = (1..=6).flat_map(|n| [n; 32]).collect();
    for damaged in specimen.unnoticed(shard, 5, super::never) {
        for kept in [&values, &hashes] {
            assert!(holds(&damaged, kept), "damage to a row goes unnoticed");
        }
    }
    specimen.nothing_is_noticed(".sqlite.init");
    specimen.nothing_is_noticed(".sqlite.write");
    assert_eq!(specimen.files.len(), 4);
}

fn shards_in(dir: &Path) -> Result<EmbeddingCache> {
    EmbeddingCache::open(dir, embedding_shards::Options::default().durability(Durability::Scratch))
}

fn bits(embedding: &Embedding) -> Vec<u32> {
    embedding.to_f32().into_iter().map(f32::to_bits).collect()
}

fn values(n: u8) -> Embedding {
    Embedding::Fp32((0..16).map(|i| f32::from(n) / i as f32).collect())
}

fn holds(file: &[u8], bytes: &[u8]) -> bool {
    file.windows(bytes.len()).any(|window| window == bytes)
}

fn window(n: u8) -> WindowKey {
    WindowKey {
        window_hash: [n; 32],
        encoder_hash: [9; 32],
        state_layer: 3,
        pool_type: PoolType::GlobalMean,
        pool_radius: 0,
        dtype: Dtype::Fp32,
    }
}

#[test]
fn directories() {
    let specimen = Specimen::new(
        |dir| {
            let cache = dirs_in(dir).unwrap();
            let build = |stage: &Path| {
                fs::write(stage.join("mesh.vtu"), [1; 100]).unwrap();
                Ok(())
            };
            assert!(cache.get_or_build("models/m1", build).unwrap().built());
        },
        |dir| {
            let cache = dirs_in(dir)?;
            let clean = cache.verify()?.is_clean();
            let read = || {
                let Some(lease) = cache.get("models/m1")? else { return Ok(None) };
                let len = fs::metadata(lease.path().join("mesh.vtu")).unwrap().len();
                Ok(Some(len.to_string()))
            };
            Ok(Look { clean, items: vec![("models/m1".to_owned(), read())] })
        },
    );
    let unchecked = [
        "entry.built_at_ns",
        "entry.last_access_ns",
        "entry.access_count",
        "entry.meta_count",
        "entry.build_cost_ns",
        "entry.pinned",
        "entry.expires_at_ns",
        "entry.priority",
        "entry.unranked",
        "entry.checked_boot",
        // The settings, and the floor of priorities.
        "fact.value",
    ];
    specimen.columns_unnoticed("dirs.sqlite", &unchecked);
    let numbers = [
        "access_count",
        "larder.build_cost_ns",
        "larder.built_at_ns",
        "larder.files",
        "larder.size",
        "size",
        "larder",
    ];
    specimen.fields_unnoticed(".cache_meta", &numbers);
    for unchecked in ["mesh.vtu", "CACHEDIR.TAG", ".sqlite.init", ".sqlite.write", "ballast"] {
        specimen.nothing_is_noticed(unchecked);
    }
    assert_eq!(specimen.files.len(), 7);
}

fn dirs_in(dir: &Path) -> Result<DirCache> {
    let options = dir_cache::Options::new(1 << 30).durability(Durability::Scratch);
    DirCache::open(dir, options.background(false))
}

#[test]
fn results() {
    let specimen = Specimen::new(
        |dir| {
            let store = results_in(dir).unwrap();
            let made = Provenance::new("fold").param("k", 3);
            let parent = store.put(Json(vec![0.5; 20]), Some(made)).unwrap();
            store.tag(parent, "release").unwrap();
            let made = Provenance::new("count").input_as("of", parent).param("k", 4);
            store.put(Json(vec![1.5; 20]), Some(made)).unwrap();
            let sequences = vec![("chr1".to_owned(), b"ACGT".repeat(30))];
            let genome = Genome { name: "tiny".to_owned(), sequences, ..Genome::default() };
            store.view::<Genome>().put(genome, None).unwrap();
        },
        |dir| {
            let store = results_in(dir)?;
            let clean = store.verify()?.is_clean();
            let by_key = |operation, k: i64| {
                let id = store.find(&Provenance::new(operation).param("k", k))?;
                id.map_or(Ok(None), |id| read(&store, id))
            };
            let mut items = vec![("fold".to_owned(), by_key("fold", 3))];
            items.extend(all(&store));
            items.extend(all(&store.view::<Genome>()));
            Ok(Look { clean, items })
        },
    );
    specimen.columns_unnoticed("provenance.sqlite", &["records.modified"]);
    for below in ["blobs", "records"] {
        let files: Vec<_> = specimen.files.keys().filter(|file| file.starts_with(below)).collect();
        assert_eq!(files.len(), 3, "{below}");
        files.into_iter().for_each(|file| specimen.all_is_noticed(file.to_str().unwrap()));
    }
    for unchecked in [".sqlite.init", ".sqlite.write", "ballast"] {
        specimen.nothing_is_noticed(unchecked);
    }
    assert_eq!(specimen.files.len(), 10);
}

fn read<T: Payload + Debug>(store: &ProvenanceStore<T>, id: Id) -> Result<Option<String>> {
    Ok(store.get(id)?.map(|stored| format!("{:?}", stored.payload)))
}

/// Every result of one kind, by id.
fn all<T: Payload + Debug>(store: &ProvenanceStore<T>) -> Vec<(String, Result<Option<String>>)> {
    let read = |record: Result<provenance::Record>| match record {
        Ok(record) => (record.id.to_string(), read(store, record.id)),
        Err(error) => ("unreadable".to_owned(), Err(error)),
    };
    store.list().map(read).collect()
}

fn results_in(dir: &Path) -> Result<ProvenanceStore<Json<Vec<f64>>>> {
    ProvenanceStore::open(dir, provenance::Options::default().durability(Durability::Scratch))
}

#[test]
fn the_marker_of_a_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    drop(Larder::open(&root).unwrap());
    let bytes = fs::read(root.join(MARKER)).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(root.join(MARKER), damaged).unwrap();
        let whole = Larder::is_root(&root).is_ok();
        assert!(!whole || bytes[at].is_ascii_whitespace(), "byte {at}");
    }
}
