//! The directories of a root, for whoever opens one store of it by itself.

/// The lookup caches: [`kv_cache`](crate::kv_cache).
pub const KV: &str = "kv";
/// The arrays: [`lazy_array`](crate::lazy_array).
pub const ARRAYS: &str = "arrays";
/// The embedding shards and their index: [`embedding_shards`](crate::embedding_shards).
pub const SHARDS: &str = "shards";
/// The cached directories: [`dir_cache`](crate::dir_cache).
pub const DIRS: &str = "dirs";
/// The tracks, genomes and other results: [`provenance`](crate::provenance).
pub const PROVENANCE: &str = "provenance";
