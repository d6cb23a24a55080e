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
//! A shard holds rows of one contig or document, or of many as a [`Group::Collection`], which suits chunks of short texts.
//! A training loop reads many rows at once into one matrix, and what is missing is made on the way, once among all threads
//! and processes that ask:
//!
//! ```
//! # use larder_embedding_shards::{Dtype, Embedding, EmbeddingCache, Group, Options, PoolType, WindowKey, WindowRecord, text_hash};
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
//! # let cache = EmbeddingCache::open(dir.path(), Options::default())?;
//! let texts = ["to be", "or not", "to be"];
//! let keys = texts.map(|text| WindowKey {
//!     window_hash: text_hash(text),
//!     encoder_hash: [2; 32],
//!     state_layer: -1,
//!     pool_type: PoolType::GlobalMean,
//!     pool_radius: 0,
//!     dtype: Dtype::Fp32,
//! });
//! let plays = Group::Collection("plays".into());
//! cache.read_or_embed("org/model", plays, &keys, |missing| {
//!     assert_eq!(missing.len(), 2);
//!     let row = |(at, key): (i64, &WindowKey)| {
//!         WindowRecord::new("hamlet", at, at + 1, *key, Embedding::Fp32(vec![0.5; 384]))
//!     };
//!     (0..).zip(missing).map(row).collect()
//! })?;
//! let batch = cache.read_matrix::<f32>(&keys)?;
//! assert_eq!(batch.dim(), (3, 384));
//! # Ok(())
//! # }
//! ```
//!
//! [`EmbeddingCache::writer`] streams any number of rows into shards, [`EmbeddingCache::compact`] merges small ones, and
//! [`EmbeddingCache::on`] keeps them in an object store, where a row is one ranged request.
//! [`EmbeddingCache::compact`] merges small shards, [`EmbeddingCache::remove`] removes those of old weights or of a
//! certain age, and [`EmbeddingCache::import_python`] takes on a cache that the Python package wrote; its own index is
//! kept beside Larder's where [`Options::python_index`] says so.
//!
//! # What geno-lewm's `encoder.cache` has, and where it is
//!
//! | `geno_lewm.encoder.cache` | here |
//! |---|---|
//! | `WindowCacheKey` | [`WindowKey`], with [`PoolType`] and [`Dtype`] |
//! | `WindowCacheRecord`, `key`, `with_created_at` | [`WindowRecord`], its field `key`, [`WindowRecord::with_created_at`] |
//! | `default_cache_dir` | [`geno_lewm_cache_dir`]; Larder's own is [`default_dir`] |
//! | `shard_path_for` | [`legacy_shard_path_for`]; Larder's own, which has the weights and the dtype too, is [`shard_path_for`] |
//! | `write_shard` | [`EmbeddingCache::write_shard`] |
//! | `read_embedding` | [`EmbeddingCache::read`], [`read_many`](EmbeddingCache::read_many), [`read_record`](EmbeddingCache::read_record) |
//! | `reindex_cache`, `CacheReindexReport` | [`EmbeddingCache::reindex`], [`ReindexReport`] |
//! | `repair_cache`, `CacheRepairReport` | [`EmbeddingCache::repair`], [`RepairReport`] |
//! | `CACHE_SCHEMA_VERSION`, `INDEX_DB_NAME` | [`CACHE_SCHEMA_VERSION`], [`INDEX_DB_NAME`] |
//!
//! What it loses or gets wrong has a test here that shows it gone:
//!
//! | in `encoder.cache` | the test |
//! |---|---|
//! | fp32 and bf16 are stored as float16: large values become infinite, small ones 0 | `both_ways_to_read_return_the_bits_that_were_written` |
//! | a row of NaNs written again conflicts | `a_row_of_nans_written_again_is_the_same` |
//! | new weights or another dtype for a block are refused for ever | `new_weights_and_other_dtypes_get_shards_of_their_own` |
//! | one shard mixes dtypes, widths and encoders | `a_batch_that_is_no_shard_is_refused` |
//! | duplicate keys in a batch, or a layer above 127, leave an orphan or a raw error | `a_batch_that_is_no_shard_is_refused`; a layer is an `i8` |
//! | a kill between shard and index leaves an orphan | `opening_brings_the_index_into_step` |
//! | reading writes the index's tables | `opening_and_reading_write_nothing` |
//! | one damaged shard makes reindexing raise, and leaves an empty index | `damage_is_found_named_and_moved_aside` |
//! | `a/b` and `a__b` share a path | `names_that_look_alike_do_not_meet` |
//! | a shard is written under its final name, so a kill leaves half of one | the sweeps of kills and power cuts, `shards::kills` |
//! | repairing raises on a row that breaks a rule | `damage_is_found_named_and_moved_aside` |
//!
//! # Other readers
//!
//! All rows that have something in common come from [`EmbeddingCache::scan`] as Arrow batches, which other crates take as
//! they are. Other programs read the shards themselves: those of a cache in the directory `DIR` are one
//! table to DuckDB. Damaged ones that [`repair`](EmbeddingCache::repair) moved aside lie below `.quarantine`, and are left
//! out:
//!
//! ```sql
//! SET VARIABLE shards = (
//!     SELECT list(file) FROM glob('DIR/embeddings/**/*.parquet') WHERE file NOT LIKE '%/.quarantine/%'
//! );
//! CREATE VIEW embeddings AS SELECT * FROM read_parquet(getvariable('shards'), union_by_name = true);
//! ```
//!
//! The windows of a contig that touch a range:
//!
//! ```sql
//! SELECT start_bp, end_bp, embedding FROM embeddings
//! WHERE chrom = '21' AND start_bp < 5010000 AND end_bp > 5000000
//! ORDER BY start_bp;
//! ```
//!
//! Those in each row of a table of one's own, here `gene (name, chrom, start_bp, end_bp)`:
//!
//! ```sql
//! SELECT gene.name, count(*) AS windows
//! FROM gene JOIN embeddings AS e
//!     ON e.chrom = gene.chrom AND e.start_bp < gene.end_bp AND e.end_bp > gene.start_bp
//! GROUP BY gene.name ORDER BY gene.name;
//! ```
//!
//! Those whose embeddings, of 1,024 numbers here, are the nearest to that of another, found by comparing it with all:
//!
//! ```sql
//! WITH asked AS (
//!     SELECT encoder_hash, dtype, embedding::FLOAT[1024] AS point FROM embeddings
//!     WHERE chrom = '21' AND start_bp = 5000000
//! )
//! SELECT chrom, start_bp, array_cosine_similarity(embedding::FLOAT[1024], point) AS similarity
//! FROM embeddings JOIN asked USING (encoder_hash, dtype)
//! ORDER BY similarity DESC, chrom, start_bp LIMIT 10;
//! ```
//!
//! There is no vector search here: where comparing with all takes too long, put the embeddings into Lance, FAISS or DuckDB's
//! VSS extension.
//!
//! Not tested: DataFusion reads them by `CREATE EXTERNAL TABLE embeddings STORED AS PARQUET LOCATION 'DIR/embeddings/'`, as
//! long as nothing is in `.quarantine`. Spark reads them by
//! `spark.read.option("recursiveFileLookup", "true").parquet("DIR/embeddings")`, and has no type for half precision.
//!
//! # Guarantees
//!
//! - Numbers come back bit by bit as they were given, NaNs and infinities included, in all three types.
//! - A shard is published whole or not at all, and never changed. The same rows written again are no error; other
//!   rows for the same keys are [`Conflict`](larder_storage::ErrorKind::Conflict), before anything is written.
//! - A row is bound to its key by a checksum that every read checks, unless [`Verify`] says otherwise: damage and a stale
//!   index are [`Corrupt`](larder_storage::ErrorKind::Corrupt), never a wrong embedding.
//! - The index can be made anew from the shards at any time, and is brought into step whenever the cache is opened.
//! - Any number of threads and processes may read and write. Writers with one index take turns; readers never wait.
//!   Reads never write.
//!
//! # Limits
//!
//! - The rows of a shard are in memory while it is written, and on a storage that is no local directory its file is too:
//!   [`EmbeddingCache::writer`] cuts any number of rows into shards of 64 MiB.
//! - The index lies on a local disk. Machines that share a storage have an index each and see the others' shards when
//!   they open, [`refresh`](EmbeddingCache::refresh) or reindex; that no two shards hold one key is checked against
//!   one's own index. One of them at a time compacts.
//! - An embedding has at most [`Embedding::MAX_LEN`] numbers, and all of a shard have the same.
//! - All of a shard is checksummed; what is no key and no embedding is checked by [`EmbeddingCache::verify`],
//!   [`repair`](EmbeddingCache::repair), [`compact`](EmbeddingCache::compact) and
//!   [`read_record`](EmbeddingCache::read_record). Shards of the Python package have no checksums: damage that still
//!   decodes is not seen.
//! - A directory that may not be written is read as it was when it was opened, after a writer that closed the cache.
//! - Shards that were removed or merged take room until the processes that have them open read others or end.
//! - Little-endian machines.

mod cache;
mod checked;
mod embedding;
mod group;
mod handles;
mod index;
mod key;
mod number;
mod path;
mod progress;
mod python_index;
mod record;
mod report;
mod scan;
mod shard;
#[cfg(test)]
mod testing;

use std::{ffi::OsString, path::PathBuf};

pub use cache::{CompactOptions, EmbeddingCache, Options, Removal, ShardWriter, Verify};
pub use embedding::Embedding;
pub use group::Group;
pub use half::{bf16, f16};
pub use key::{Dtype, PoolType, WindowKey, text_hash, window_hash};
pub use number::Number;
pub use path::{ShardId, legacy_shard_path_for, shard_path_for};
pub use record::WindowRecord;
pub use report::{
    CompactReport, ImportReport, ReindexReport, RemoveReport, RepairReport, ShardInfo, Status,
    VerifyReport,
};
pub use scan::{Scan, ScanReader};

/// The version of the rows' schema, which is that of geno-lewm 0.2.1, in the column `schema_version`.
pub const CACHE_SCHEMA_VERSION: &str = "1.0.0";

/// The name of the Python package's index, `embeddings/index.sqlite`. Larder's own is `.larder/shards.sqlite`.
pub const INDEX_DB_NAME: &str = "index.sqlite";

/// The version of the shards that this crate writes, in the Parquet metadata `larder.format_version`.
pub const SHARD_FORMAT_VERSION: u32 = 1;

/// The version of the index.
pub const INDEX_FORMAT_VERSION: u32 = 1;

/// The directory that geno-lewm 0.2.1 uses where none is named: that of the variable `GENO_LEWM_CACHE`, else
/// `.geno-lewm-cache`, and the home directory for a `~` at its beginning.
pub fn geno_lewm_cache_dir() -> PathBuf {
    expanded(std::env::var_os("GENO_LEWM_CACHE"), std::env::home_dir())
}

fn expanded(named: Option<OsString>, home: Option<PathBuf>) -> PathBuf {
    let dir = named.map_or_else(|| ".geno-lewm-cache".into(), PathBuf::from);
    match (dir.strip_prefix("~"), home) {
        (Ok(below), Some(home)) => home.join(below),
        _ => dir,
    }
}

/// The directory that is used where none is named: `shards` in [`larder_storage::default_root`].
///
/// # Errors
///
/// `Invalid` where no variable that names a directory is set.
pub fn default_dir() -> larder_storage::Result<PathBuf> {
    Ok(larder_storage::default_root()?.join("shards"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_of_the_python_package_is_found_as_it_finds_it() {
        let dir = |named: &str| expanded(Some(named.into()), Some("/home/me".into()));
        assert_eq!(dir("/data/cache"), PathBuf::from("/data/cache"));
        assert_eq!(dir("~/cache"), PathBuf::from("/home/me/cache"));
        assert_eq!(dir("a~b"), PathBuf::from("a~b"));
        assert_eq!(expanded(None, None), PathBuf::from(".geno-lewm-cache"));
        assert_eq!(expanded(Some("~/cache".into()), None), PathBuf::from("~/cache"));
    }
}
