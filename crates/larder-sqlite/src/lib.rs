//! How every local database of Larder is opened, and how it fails.
//!
//! ```
//! use larder_sqlite::{Database, Schema};
//! use larder_storage::Durability;
//!
//! const SCHEMA: Schema = Schema {
//!     application_id: 0x4c5f_6578, // "L_ex"
//!     version: 1,
//!     derived: false,
//!     create: "CREATE TABLE visit (place TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT",
//!     rules: &[],
//! };
//!
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
//! # let root = dir.path();
//! let database = Database::open(root.join(".larder/visits.sqlite"), &SCHEMA, Durability::Process)?;
//! database.write(|tx| Ok(tx.execute("INSERT INTO visit VALUES ('reef', 1)", [])?))?;
//! let count: u32 = database.read(|db| Ok(db.query_row("SELECT count FROM visit", [], |row| row.get(0))?))?;
//! assert_eq!(count, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - Any number of threads and processes may open one database at once, also for the first time.
//! - Readers never wait for writers (write-ahead log), and writers wait for each other instead of failing.
//! - A damaged file is [`Corrupt`](larder_storage::ErrorKind::Corrupt), a foreign one or one from the future
//!   [`Format`](larder_storage::ErrorKind::Format); none is ever emptied or replaced. Only [`repair`] moves a damaged
//!   one aside, and only while nobody has it open.
//!
//! # Limits
//!
//! - An open database may hold up to 64 MiB of its pages in memory, and as much again for each thread that read at
//!   once with others, at most 16 times. One that can be derived from elsewhere is mapped by those that read it, its
//!   first 2 GiB at most: that is memory of the file and not of the process.
//! - While a database is open, nothing else may remove or cut the files beside it, nor the file itself where it is mapped:
//!   they are memory that processes share, and a process that uses a part that is gone, or that the disk fails to read,
//!   ends.
//! - Local disks only: the write-ahead log needs shared memory, which network file systems do not give. On Linux those
//!   that the kernel knows as such are [`Unsupported`](larder_storage::ErrorKind::Unsupported).

mod database;
mod failure;
mod identity;
mod integrity;
mod network;
mod open;
mod queue;
mod readers;
mod repair;
mod turn;

pub use database::{Database, Schema};
pub use failure::{Attempt, Failure};
pub use repair::repair;
pub use turn::Turn;
