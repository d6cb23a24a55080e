//! A lookup cache of text keys and serde values that many threads and processes share, and that loses no result.
//!
//! ```
//! use larder_kv_cache::{KvCache, Lookup, Options};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Gene {
//!     symbol: String,
//!     length: u64,
//! }
//!
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
//! # let root = dir.path();
//! let cache = KvCache::open(root, "ensembl", Options::default())?;
//! let wanted = ["BRCA2", "TP53"];
//!
//! // Ask the service only for what is not there.
//! let (_, missing) = cache.hits_and_misses(&wanted)?;
//! cache.set_many(missing.iter().map(|symbol| (symbol, Gene { symbol: symbol.clone(), length: 84_195 })))?;
//!
//! assert_eq!(cache.keys()?, wanted);
//! let gene: Gene = cache.get("TP53")?.hit().expect("it was just set");
//! assert_eq!(gene.symbol, "TP53");
//!
//! // A stored null is a hit.
//! cache.set("MYC", &None::<Gene>)?;
//! assert_eq!(cache.get("MYC")?, Lookup::Hit(None::<Gene>));
//! assert_eq!(cache.get::<Gene>("EGFR")?, Lookup::Miss);
//! # Ok(())
//! # }
//! ```
//!
//! # What VmaxBuilder's `LookupCache` has, and where it is
//!
//! | `LookupCache` | here |
//! |---|---|
//! | `LookupCache(cache_dir, namespace, autosave)` | [`KvCache::open`], or [`KvCache::open_document`] on its own file; [`Options::autosave`] |
//! | the default directory | [`KvCache::open_default`]: `kv` in [`default_root`](larder_storage::default_root) |
//! | `get` | [`KvCache::get`], which tells a stored null from a miss |
//! | `set`, `set_many` | [`KvCache::set`], [`KvCache::set_many`] |
//! | `save` | [`KvCache::save`] |
//! | `invalidate` | [`KvCache::invalidate`]; without autosave it waits for `save`, as the code of `LookupCache` does |
//! | `clear` | [`KvCache::clear`], which writes at once even without autosave |
//! | `keys`, `in`, `len` | [`KvCache::keys`], [`KvCache::contains`], [`KvCache::len`] |
//! | `hits_and_misses` | [`KvCache::hits_and_misses`] |
//! | `path` | [`KvCache::path`] |
//! | `sequence_cache_key`, `smiles_cache_key` | [`sequence_cache_key`], [`smiles_cache_key`], and [`composite_key`] |
//! | a gene's result | [`GeneSequenceResult`], [`SequenceRecord`] |
//!
//! `LookupCache` keeps `ensembl.v1` and `ensembl.v2` in one file, `ensembl.json`, because it replaces what stands behind
//! the last dot of a namespace. Here each has its own, `ensembl.v1.json`; that file of the Python package is the namespace
//! `ensembl`.
//!
//! What it loses or gets wrong has a test here that shows it gone:
//!
//! | in `LookupCache` | the test |
//! |---|---|
//! | a damaged file loads as an empty cache, which the next `set` writes over it | `damage_is_told_and_never_replaced` |
//! | `ensembl.v1` and `ensembl.v2` share one file | `namespaces_with_dots_are_one_in_python_and_two_here` |
//! | `../` in a namespace leaves the directory | `names_with_dots_have_files_of_their_own` |
//! | processes lose each other's updates | `sixteen_processes_of_10_000_operations_lose_nothing_in_a_database`, and two for documents |
//! | `get` gives a stored null and a miss alike | `a_stored_null_is_a_hit_and_an_absent_key_a_miss` |
//! | parts of keys are joined unescaped | the example of [`composite_key`] |
//!
//! # Guarantees
//!
//! - A saved write is there for every thread and process that reads the database afterwards, and survives what
//!   [`Durability`](larder_storage::Durability) says. Writers wait for each other and lose no update.
//! - [`KvCache::set_many`], [`KvCache::import`] and [`KvCache::save`] do all or nothing.
//! - [`KvCache::get_or_compute`] runs the work once among all threads and processes that ask; a dead one hands over.
//! - A value comes back as it was: each `f32`, `f64` and integer bit for bit. What JSON cannot hold (NaN, the infinities)
//!   or could not be read back is refused when it is set.
//! - Every value is checked against its CRC-32C whenever it is read from a database: a damaged one is
//!   [`Corrupt`](larder_storage::ErrorKind::Corrupt), names its key, and leaves the others usable.
//! - What was cleared never comes back, and [`KvCache::clear`] and [`KvCache::clear_tag`] take the same short time for any
//!   number of entries.
//! - Nothing is evicted unless a [capacity](Options::capacity) is set.
//! - Any SQLite tool reads the database (`<dir>/.larder/kv/<namespace>.sqlite`), and any JSON parser the values that are not
//!   compressed: `SELECT key, value FROM live_entry WHERE encoding = 0 ORDER BY id` (also those that have expired).
//! - No key or namespace reaches a file outside of the directory, and no two namespaces share one.
//!
//! # Limits
//!
//! - A key has at most [`KvCache::MAX_KEY_LEN`] bytes, and a namespace at most 200 bytes as a file name
//!   ([`Key::encode`](larder_storage::Key::encode)). A value has at most [`KvCache::MAX_VALUE_LEN`] bytes as JSON, and
//!   nests at most 127 deep.
//! - Integers outside of `i64` and `u64` need a type that says so (`i128`, `u128`): a `serde_json::Value` rounds them.
//! - Without [`autosave`](Options::autosave), unsaved writes are lost when the process is killed. They are also saved
//!   when the cache is dropped, but a failure there stays unheard: call [`KvCache::save`].
//! - A document has at most 16 MiB, no times, tags or capacity, and no checksums; each write writes all of it.
//! - Besides what [`Options::memory`] says, an open database may keep 64 MiB of its pages in memory, and as much for each
//!   thread that read at once with others. Reads wait while what was held in memory is [saved](KvCache::save).
//! - Databases on local disks only, as SQLite's write-ahead log needs shared memory. Documents are for the rest.

mod attributes;
mod cache;
mod clock;
mod composite;
mod document;
mod engine;
mod lookup;
mod namespace;
mod options;
mod pending;
mod policy;
mod published;
mod report;
mod saver;
mod sequences;
mod sqlite;
mod statistics;
mod value;

pub use attributes::Attributes;
pub use cache::{ImportReport, KvCache};
pub use clock::Clock;
pub use composite::{composite_key, sequence_cache_key, smiles_cache_key};
pub use lookup::Lookup;
pub use options::Options;
pub use policy::Policy;
pub use report::{Status, VerifyReport};
pub use sequences::{GeneSequenceResult, SequenceRecord};
pub use statistics::Statistics;

/// The version of the tables.
pub const FORMAT_VERSION: u32 = 1;
