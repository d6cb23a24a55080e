//! Any bytes in the place of a shard: indexing, reading and checking them give rows or say what is wrong, and leave the
//! file as it is. What `verify` passes can be read.
#![no_main]

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, LazyLock},
};

use larder_embedding_shards::{Dtype, EmbeddingCache, Options, PoolType, WindowKey};
use larder_fuzz::allow;
use larder_storage::{Bytes, Durability, ErrorKind, Key, MemoryStorage, PutIf, Storage};
use libfuzzer_sys::fuzz_target;

static FIXTURE: LazyLock<(MemoryStorage, EmbeddingCache, Key)> = LazyLock::new(|| {
    // A decoder's panic is caught by the store, and must not end the run; one that gets out ends it below.
    panic::set_hook(Box::new(|_| {}));
    let storage = MemoryStorage::new();
    let dir = tempfile::tempdir().unwrap().keep();
    let options = Options::default().durability(Durability::Scratch);
    let cache = EmbeddingCache::on(Arc::new(storage.clone()), dir, options).unwrap();
    (storage, cache, Key::new("embeddings/e/s.parquet").unwrap())
});

fuzz_target!(|data: &[u8]| {
    let (storage, cache, path) = &*FIXTURE;
    storage.put(path, Bytes::copy_from_slice(data), PutIf::Always).unwrap();
    if let Err(panicked) = panic::catch_unwind(AssertUnwindSafe(|| look(cache))) {
        let told = panicked.downcast_ref::<String>().map(String::as_str);
        eprintln!("{}", told.or(panicked.downcast_ref().copied()).unwrap_or("panicked"));
        std::process::abort();
    }
    assert_eq!(storage.get(path).unwrap().expect("it was put").bytes(), data);
});

fn look(cache: &EmbeddingCache) {
    let indexed = cache.reindex().unwrap();
    let report = cache.verify().unwrap();
    let kinds = [ErrorKind::Corrupt, ErrorKind::Format, ErrorKind::Unsupported];
    for dtype in [Dtype::Fp16, Dtype::Bf16, Dtype::Fp32] {
        let keys = [0, 1, 2].map(|window| key(window, dtype));
        let read = allow(cache.read_many(&keys), &kinds);
        assert!(read.is_some() || !report.is_clean(), "verify passed what cannot be read");
    }
    assert!(
        indexed.problems.is_empty() || !report.is_clean(),
        "verify passed what cannot be indexed: {indexed:?}"
    );
}

/// The keys of the shards that the corpus begins with.
fn key(window: u8, dtype: Dtype) -> WindowKey {
    WindowKey {
        window_hash: [window; 32],
        encoder_hash: [7; 32],
        state_layer: 3,
        pool_type: PoolType::CenteredMean,
        pool_radius: 128,
        dtype,
    }
}
