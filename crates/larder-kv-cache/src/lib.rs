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
//! # Guarantees
//!
//! - A write that returned is there for every thread and process that reads afterwards, and survives what
//!   [`Durability`](larder_storage::Durability) says. Writers wait for each other and lose no update.
//! - [`KvCache::set_many`] and [`KvCache::save`] do all or nothing.
//! - A value comes back as it was: each `f32`, `f64` and integer bit for bit. What JSON cannot hold (NaN, the infinities)
//!   or could not be read back is refused when it is set.
//! - Every value is checked against its CRC-32C whenever it is read: a damaged one is
//!   [`Corrupt`](larder_storage::ErrorKind::Corrupt), names its key, and leaves the others usable.
//! - What was cleared never comes back, and [`KvCache::clear`] takes the same short time for any number of entries.
//! - Any SQLite tool reads the database (`<dir>/.larder/kv/<namespace>.sqlite`), and any JSON parser the values:
//!   `SELECT key, value FROM live_entry ORDER BY id`.
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
//! - Local disks only, as SQLite's write-ahead log needs shared memory.

mod cache;
#[cfg_attr(not(test), expect(dead_code, reason = "the document engine is not wired yet"))]
mod document;
mod lookup;
mod namespace;
mod options;
mod pending;
mod report;
mod table;
mod verify;
mod writer;

pub use cache::KvCache;
pub use lookup::Lookup;
pub use options::Options;
pub use report::{Status, VerifyReport};
pub use table::FORMAT_VERSION;
