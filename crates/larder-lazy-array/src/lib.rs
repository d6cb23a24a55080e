//! Arrays that live on disk until they are touched, under one memory budget, in files that numpy opens.
//!
//! ```
//! use larder_lazy_array::{ArrayStore, MemoryBudget, Options};
//! use ndarray::Array2;
//!
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
//! # let dir = dir.path().join("arrays");
//! let store = ArrayStore::open(&dir, Options::default().budget(MemoryBudget::bytes(1 << 20)))?;
//! let signal = store.insert("chr1/gc", Array2::<f32>::zeros((1000, 4)))?;
//!
//! signal.write()?[[7, 0]] = 0.5; // in memory
//! signal.flush()?; // published: chr1/gc.npy and chr1/gc.meta.json
//! signal.offload()?;
//!
//! assert_eq!(signal.rows(7..8)?[[0, 0]], 0.5); // read from its place in the file
//! assert!(signal.offloaded());
//! assert_eq!(signal.read()?.sum(), 0.5); // loaded
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! - A published array is a file that is replaced by rename and never written in place. A reader sees the old array or
//!   the new one, also where the writer was killed, and a loaded array was checked against its CRC-32C.
//! - Arrays without a live guard are kept in memory only as far as the [`MemoryBudget`] allows; its figures are exact.
//!   A guard keeps its array in memory.
//! - An array as it was published is offloaded at no I/O. An edited one is spilled to a scratch file; where that
//!   fails it stays in memory and the error is returned.
//! - Asking for a guard that would wait for another one of the same array, taken by the same thread and still
//!   alive, is an error, not a deadlock.
//! - A handle never reads or replaces what was inserted under its key after its array was removed through the same
//!   store.
//! - What GSEGUtils 0.6 keeps in a `DiskBackedStore` is read as it is, and it reads what is written here under keys of
//!   one segment.
//! - C and Fortran order are kept, both byte orders are read, and no damaged file panics.
//!
//! # Limits
//!
//! - Edits that were not [flushed](LazyArray::flush) go with the process. Edits of several arrays are not published
//!   together.
//! - Guards alone may pass the budget: it then keeps nothing else.
//! - A guard that is sent to another thread counts as that of the thread that took it: that one is refused what the
//!   guard excludes, and the one that has it now waits for itself.
//! - [`rows`](LazyArray::rows) is not checked against the checksum, which is one of the whole file.
//! - A `.npy` without its `.meta.json` is a miss, and inserting under its key replaces it. A legacy `.pkl` is
//!   never read.
//! - Two processes that replace one array at the same time are told apart on a local directory. On another storage one
//!   of them may win without the other's being told.
//! - Element types are booleans, integers, floats of up to 64 bits and complex pairs of these; in a file, bf16 is what numpy makes of the type
//!   of `ml_dtypes`. There are at most 32 axes.

mod access;
mod array;
mod budget;
mod config;
mod cut;
mod element;
mod files;
mod guard;
mod hooks;
mod known;
mod layout;
mod memory;
mod npy;
mod options;
mod origin;
mod payload;
mod region;
mod scratch;
mod sidecar;
mod slot;
mod store;
mod sync;
mod writer;

pub use access::Access;
pub use array::LazyArray;
pub use budget::{BudgetFigures, BudgetOptions, MemoryBudget, WhenPinned};
pub use config::ArrayConfig;
pub use element::{DType, Element, ElementWork};
pub use guard::{ReadGuard, WriteGuard};
pub use hooks::Hooks;
pub use options::Options;
pub use sidecar::{FORMAT_VERSION, SCHEMA_FORMAT_VERSION};
pub use store::{ArrayInfo, ArrayStore, Offload, Status, VerifyReport};
pub use writer::ArrayWriter;

// The versions whose types are in this interface.
pub use half;
pub use ndarray;
pub use num_complex;

#[cfg(test)]
#[cfg(shuttle)]
#[path = "tests/schedules.rs"]
mod schedules;
#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
