//! One storage contract for on-disk caches: validated keys, atomic publication, conditional writes, locks and
//! single-flight, with one error type.
//!
//! ```
//! use larder_storage::{Durability, ErrorKind, Key, LocalStorage, PutIf, Storage, StorageExt};
//!
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
//! # let root = dir.path().join("objects");
//! let storage = LocalStorage::open(&root, Durability::Process)?;
//! let key = Key::new("runs/2026/summary.json")?;
//!
//! storage.put(&key, "{\"rows\": 3}".into(), PutIf::Absent)?;
//! assert_eq!(storage.get_text(&key)?.as_deref(), Some("{\"rows\": 3}"));
//!
//! // The loser of a race learns that it lost.
//! let lost = storage.put(&key, "{}".into(), PutIf::Absent).unwrap_err();
//! assert_eq!(lost.kind(), ErrorKind::Conflict);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - A reader sees a whole object or none, short of a power cut below [`Durability::Power`]: what is published appears by one rename, and an opened reader stays on
//!   the version that it opened.
//! - A conditional [`put`](Storage::put) holds across threads and processes: of the writers that name one version,
//!   one succeeds and the others get [`ErrorKind::Conflict`].
//! - A lock or a stage area of a dead process is free at once: both are held by kernel file locks, never by pid files.
//! - What survives a killed process and a power cut is chosen by [`Durability`].
//!
//! # Limits
//!
//! - A key has at most [`Key::MAX_LEN`] bytes, and each of its segments at most [`Key::MAX_SEGMENT_LEN`].
//! - Case-insensitive and normalising file systems merge keys that differ in case or in Unicode form; Larder folds
//!   nothing itself.
//! - Linux and macOS; Windows is not tested.
//! - File locks need a file system that honours them: local disks do, some network file systems do not.
//!
//! # Features
//!
//! - `object-store`: [`ObjectStorage`] on S3, GCS, Azure and web servers, and [`open`] for every storage by its URL.
//! - `testing`: [`testing::conformance`], the suite that every [`Storage`] has to pass.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the crate that the ban sends everyone else to"
)]

pub mod counter;
mod digest;
mod durability;
mod error;
pub mod flight;
pub mod json;
mod key;
mod local;
pub mod lock;
mod memory;
#[cfg(feature = "object-store")]
pub mod object;
mod problem;
mod progress;
pub mod publish;
mod root;
mod storage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
#[cfg(feature = "object-store")]
mod url;

pub use digest::{Digest, crc32c, crc32c_append, crc32c_combine};
pub use durability::Durability;
pub use error::{Error, ErrorKind, Result};
pub use key::{Key, RESERVED_SEGMENT};
pub use local::LocalStorage;
pub use memory::MemoryStorage;
#[cfg(feature = "object-store")]
pub use object::ObjectStorage;
pub use problem::Problem;
pub use progress::Progress;
pub use root::{ROOT_VARIABLE, default_root};
pub use storage::{
    Entries, Entry, Keys, Object, PublishedFile, PutIf, ReadAt, Storage, StorageExt, Upload,
    Version,
};
#[cfg(feature = "object-store")]
pub use url::{open, open_with};

pub use bytes::Bytes;
