//! On-disk caches for scientific and machine-learning pipelines: five stores on one storage contract.
//!
//! ```
//! use larder::{Larder, kv_cache::Lookup, storage::Result};
//!
//! # fn main() -> Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| larder::storage::Error::io(e, "cannot make a directory"))?;
//! # let root = dir.path().join("cache");
//! let larder = Larder::open(&root)?;
//!
//! let genes = larder.kv("ensembl")?;
//! genes.set("BRCA2", &["ENST00000380152", "ENST00000544455"])?;
//! assert!(matches!(genes.get::<Vec<String>>("BRCA2")?, Lookup::Hit(ids) if ids.len() == 2));
//!
//! let meshes = larder.dirs();
//! let mesh = meshes.get_or_build("models/m1", |stage| {
//!     // Expensive work that writes files into `stage`; it runs once among all threads and processes.
//! #   let _ = stage;
//!     Ok(())
//! })?;
//! assert!(mesh.path().is_dir());
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! Those of the parts: see the pages of [`storage`], [`kv_cache`], [`lazy_array`], [`embedding_shards`],
//! [`dir_cache`] and [`provenance`]. This crate adds the common root and nothing else.
//!
//! # Limits
//!
//! - A root is on a local disk.
//!
//! # Features
//!
//! One for each store, all on by default: `kv-cache`, `lazy-array`, `embedding-shards`, `dir-cache`, `provenance`.
//! Turning one off takes its dependencies away and changes nothing else. `object-store`, off by default, adds
//! `storage::open` for S3, GCS and Azure.

pub mod layout;
mod marker;
mod open;

#[cfg(feature = "dir-cache")]
#[doc(inline)]
pub use larder_dir_cache as dir_cache;
#[cfg(feature = "embedding-shards")]
#[doc(inline)]
pub use larder_embedding_shards as embedding_shards;
#[cfg(feature = "kv-cache")]
#[doc(inline)]
pub use larder_kv_cache as kv_cache;
#[cfg(feature = "lazy-array")]
#[doc(inline)]
pub use larder_lazy_array as lazy_array;
#[cfg(feature = "provenance")]
#[doc(inline)]
pub use larder_provenance as provenance;
#[doc(inline)]
pub use larder_storage as storage;

pub use marker::{FORMAT_VERSION, MARKER};
pub use open::{Larder, Options};
