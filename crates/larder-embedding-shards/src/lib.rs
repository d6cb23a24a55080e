//! Embeddings in immutable Parquet shards, read by content key one row at a time.
//!
//! ```
//! use larder_embedding_shards::{Dtype, Embedding, EmbeddingCache, Options, PoolType, WindowKey, WindowRecord};
//!
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
//! # let root = dir.path().join("shards");
//! let cache = EmbeddingCache::open(&root, Options::default())?;
//! let key = WindowKey {
//!     window_hash: [1; 32],  // of the window's letters
//!     encoder_hash: [2; 32], // of the encoder's weights
//!     state_layer: 12,
//!     pool_type: PoolType::GlobalMean,
//!     pool_radius: 0,
//!     dtype: Dtype::Fp32,
//! };
//! let row = WindowRecord::new("21", 0, 512, key, Embedding::Fp32(vec![0.25, -1.0, 3.5]))?;
//!
//! cache.write_shard("org/model", "21", 0, &[row.clone()])?;
//! cache.write_shard("org/model", "21", 0, &[row])?; // the same again: nothing happens
//!
//! assert_eq!(cache.read(&key)?, Some(Embedding::Fp32(vec![0.25, -1.0, 3.5])));
//! assert_eq!(cache.read(&WindowKey { window_hash: [9; 32], ..key })?, None);
//! # Ok(())
//! # }
//! ```
//!
//! A shard is an ordinary Parquet file that pyarrow, DuckDB and pandas read as it is. Its embedding column is laid out
//! so that the bytes of a row can be computed: a read is one look into the index and one positioned read. Shards that
//! the Python package geno-lewm 0.2.1 wrote are read unchanged when they lie in the same place.
//!
//! What is missing is made by [`EmbeddingCache::read_or_embed`], once among all threads and processes that ask.
//!
//! # Guarantees
//!
//! - Numbers come back bit by bit as they were given, NaNs and infinities included, in all three types.
//! - A shard is published whole or not at all, and never changed. The same rows written again are no error; other
//!   rows for the same keys are [`Conflict`](larder_storage::ErrorKind::Conflict), before anything is written.
//! - A row is bound to its key by a checksum that every read checks: damage and a stale index are
//!   [`Corrupt`](larder_storage::ErrorKind::Corrupt), never a wrong embedding.
//! - The index can be made anew from the shards at any time, and is brought into step whenever the cache is opened.
//! - Any number of threads and processes may read and write. Writers with one index take turns; readers never wait.
//!   Reads never write.
//!
//! # Limits
//!
//! - A batch is encoded in memory before it is published.
//! - The index lies on a local disk. Machines that share a storage have an index each and see the others' shards when
//!   they open the cache, or reindex; that no two shards hold one key is checked against one's own index.
//! - An embedding has at most [`Embedding::MAX_LEN`] numbers, and all of a shard have the same.
//! - Metadata other than keys is checksummed, but checked only by [`EmbeddingCache::verify`] and
//!   [`EmbeddingCache::repair`]. Shards of the Python package have no checksums: damage that still decodes is not seen.
//! - Little-endian machines.

mod cache;
mod embedding;
mod handles;
mod index;
mod key;
mod path;
mod record;
mod report;
mod shard;
#[cfg(test)]
mod testing;

use std::path::PathBuf;

pub use cache::{EmbeddingCache, Options};
pub use embedding::Embedding;
pub use half::{bf16, f16};
pub use key::{Dtype, PoolType, WindowKey};
pub use path::{ShardId, legacy_shard_path_for, shard_path_for};
pub use record::WindowRecord;
pub use report::{ReindexReport, RepairReport, Status, VerifyReport};

/// The version of the rows' schema, which is that of geno-lewm 0.2.1, in the column `schema_version`.
pub const CACHE_SCHEMA_VERSION: &str = "1.0.0";

/// The name of the Python package's index, `embeddings/index.sqlite`. Larder's own is `.larder/shards.sqlite`.
pub const INDEX_DB_NAME: &str = "index.sqlite";

/// The version of the shards that this crate writes, in the Parquet metadata `larder.format_version`.
pub const SHARD_FORMAT_VERSION: u32 = 1;

/// The version of the index.
pub const INDEX_FORMAT_VERSION: u32 = 1;

/// The directory that is used where none is named: `shards` in [`larder_storage::default_root`].
///
/// # Errors
///
/// `Invalid` where no variable that names a directory is set.
pub fn default_dir() -> larder_storage::Result<PathBuf> {
    Ok(larder_storage::default_root()?.join("shards"))
}
