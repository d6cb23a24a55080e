//! The index of embeddings with other values in its rows: a read gives the embedding that was written, or none, or an
//! error, and never another one.
#![no_main]

use std::sync::{Arc, LazyLock, Mutex};

use larder_embedding_shards::{
    Dtype, Embedding, EmbeddingCache, Options, PoolType, WindowKey, WindowRecord,
};
use larder_fuzz::{Rows, allow, changes};
use larder_storage::{Durability, ErrorKind, MemoryStorage};
use libfuzzer_sys::fuzz_target;

const COLUMNS: &[&str] = &[
    "embedding.byte_offset",
    "embedding.crc32c",
    "embedding.row_number",
    "embedding.shard",
    "embedding.key",
    "shard.dim",
    "shard.length",
    "shard.rows",
    "shard.path",
    "shard.id",
];

const KEY: WindowKey = WindowKey {
    window_hash: [1; 32],
    encoder_hash: [7; 32],
    state_layer: 3,
    pool_type: PoolType::CenteredMean,
    pool_radius: 128,
    dtype: Dtype::Fp32,
};

static FIXTURE: LazyLock<(EmbeddingCache, Mutex<Rows>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap().keep();
    let options = Options::default().durability(Durability::Scratch);
    let cache = EmbeddingCache::on(Arc::new(MemoryStorage::new()), &dir, options).unwrap();
    let record = WindowRecord::new("1", 0, 512, KEY, embedding()).unwrap();
    cache.write_shard("e", "1", 0, &[record]).unwrap();
    let rows = Rows::open(&dir.join(".larder/shards.sqlite"), COLUMNS);
    (cache, Mutex::new(rows))
});

fn embedding() -> Embedding {
    Embedding::Fp32(vec![1.5, -2.0, 0.25, 8.0])
}

fuzz_target!(|data: &[u8]| {
    let (cache, rows) = &*FIXTURE;
    let rows = rows.lock().unwrap();
    if !rows.change(&changes(data)) {
        return;
    }
    let kinds = [ErrorKind::Corrupt, ErrorKind::NotFound];
    if let Some(Some(read)) = allow(cache.read(&KEY), &kinds) {
        assert_eq!(read, embedding());
    }
    allow(cache.contains(&KEY), &[ErrorKind::Corrupt]);
    allow(cache.status(), &[ErrorKind::Corrupt]);
    allow(cache.verify(), &[ErrorKind::Corrupt]);
    rows.restore();
    assert_eq!(cache.read(&KEY).unwrap(), Some(embedding()));
});
