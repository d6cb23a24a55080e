//! Directories as cache entries: built once, published whole, leased while in use, and evicted by a policy.
//!
//! ```
//! use larder_dir_cache::{DirCache, Options};
//! use larder_storage::Error;
//!
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| Error::io(e, "cannot make a directory"))?;
//! # let root = dir.path().join("cache");
//! let cache = DirCache::open(&root, Options::new(50 << 30))?; // evict above 50 GiB
//!
//! let lease = cache.get_or_build("ab/cd/model_abc123", |stage| {
//!     let mesh = std::fs::File::create(stage.join("mesh.vtu"));
//!     mesh.map(drop).map_err(|error| Error::io(error, "cannot write the mesh").at_path(stage))
//! })?;
//! assert!(lease.built() && lease.path().join("mesh.vtu").exists());
//!
//! // The next one finds it there, and while either lease lives no process evicts it.
//! let again = cache.get("ab/cd/model_abc123")?.expect("it was just built");
//! assert!(!again.built());
//! assert_eq!(cache.entries()?[0].access_count, 2);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - An entry appears by one rename, with all its files, or not at all. A builder that fails, panics or is killed
//!   leaves nothing, and the next one who asks builds.
//! - One key is built by one thread of one process at a time; the others wait and then find it.
//! - While a [`Lease`] lives, no process evicts or removes its entry. The lease of a killed process is free at once.
//! - The sum of the sizes and the number of entries are kept by the index in the transaction that changes an entry, and
//!   so is the count of leases: none is lost, whichever process took it.
//! - A removal that was interrupted goes on at the next open or cycle. What cannot be removed stays an entry.
//! - Nothing outside the root is touched: keys are validated, and symbolic links on the way to an entry are refused.
//! - With a [remote tier](DirCache::with_remote), a fleet of roots builds each entry once: the others fetch it, and it is
//!   an entry only when its digest and its listing agree. A storage that fails or is damaged costs a build and no more.
//! - `.cache_meta`, as the Python package vcti-file-cache 1.0.0 keeps it, lies in each entry and follows the index
//!   within one interval and at close; entries that this package made are adopted at open.
//!
//! # Limits
//!
//! - [`Options::evict_above`] is a soft threshold: a new entry may lie above it until the eviction that it wakes is
//!   done. An entry larger than the whole threshold is refused, and the others stay.
//! - The size of an entry is what its files and subdirectories occupy on the disk, as `du` counts: holes are free and
//!   hard links inside one entry count once. Its own directory and `.cache_meta` are not counted. Where the system
//!   does not tell occupied blocks (Windows), it is the sum of the files' lengths.
//! - What is written into a published entry is counted by [`DirCache::recount`] only. So is what the file system
//!   changes in the occupied size afterwards, as those do that allocate or compress late.
//! - Accesses that vcti-file-cache counts in the `.cache_meta` of an entry after its adoption are not added up: the
//!   index's count replaces them.
//! - A publication that a dead process left is finished where the names, kinds and lengths of its files are as they
//!   were built, and otherwise discarded. What is in the files is not looked at.
//! - A lease binds Larder, not other programs: vcti-file-cache on the same root evicts what it likes.
//! - The remote tier holds what was built until [`DirCache::remove_remote`] or a rule of the storage's own removes it;
//!   eviction is about one root. Whoever asks waits for a builder of the fleet that died for 30 seconds more. A builder that
//!   could not publish does not try again. Entries with pipes, sockets, or links that are absolute or have `..` after a
//!   name are not published there, nor those whose encoded keys have more than 255 bytes. Hard links come back as files of
//!   their own, files executable or not, and times and owners as of who fetches.
//! - Local disks only for the root, as the index is an SQLite database and leases are file locks.

mod accesses;
mod boot;
mod build;
mod cache;
mod core;
mod enter;
mod entry;
mod evict;
mod index;
mod journal;
mod lease;
mod meta;
mod observer;
mod options;
mod policy;
mod recount;
mod remote;
mod scan;
mod settings;
mod settle;
mod trash;
mod tree;
mod verify;
mod worker;

#[cfg(test)]
mod tests;

pub use cache::DirCache;
pub use entry::{EntryInfo, Snapshot, Status};
pub use index::FORMAT_VERSION;
pub use lease::Lease;
pub use meta::META_FORMAT_VERSION;
pub use observer::{LoggingObserver, Observer};
pub use options::{BuildOptions, Options};
pub use policy::{Gdsf, Lfu, Lru, Policy, SizedLru};
pub use recount::Recount;
pub use remote::REMOTE_FORMAT_VERSION;
pub use tree::Measure;
pub use verify::VerifyReport;
