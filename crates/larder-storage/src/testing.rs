//! The contract of [`Storage`] as a suite that anybody's implementation can run, and storages that fail, count or are meddled
//! with for the tests of whatever stands on one.
//!
//! ```
//! use larder_storage::{Key, MemoryStorage, testing::{Fault, Model, sweep}};
//!
//! # fn main() -> larder_storage::Result<()> {
//! let key = Key::new("report")?;
//! let model = std::cell::RefCell::new(Model::new());
//! let operations = sweep(
//!     Fault::CrashAfter,
//!     || {
//!         model.take();
//!         MemoryStorage::new()
//!     },
//!     |storage| _ = model.borrow_mut().put(storage, &key, "whole".into()),
//!     |storage| model.borrow_mut().check(&storage, "after a crash"),
//! );
//! assert_eq!(operations, 1);
//! # Ok(())
//! # }
//! ```

mod checks;
mod counting;
mod fault;
mod meddled;
mod model;

pub use counting::{CountingStorage, Counts};
pub use fault::{Fault, FaultStorage, sweep};
pub use meddled::{MeddledStorage, Moment};
pub use model::Model;

use std::sync::Arc;

use checks::{CHECKS, LOCAL_CHECKS, REMOTE_CHECKS};

use crate::{ErrorKind, Key, PutIf, Storage};

/// Runs the whole suite; `fresh` gives a new, empty storage each time.
///
/// # Panics
///
/// Where the storage breaks the contract; the message names what was expected.
pub fn conformance<S: Storage>(mut fresh: impl FnMut() -> S) {
    for check in CHECKS.iter().chain(LOCAL_CHECKS) {
        check(&fresh());
    }
}

/// As [`conformance`], for a storage behind a network protocol: an opened reader may lose its version, though it
/// never gives bytes of another, and keys inside and above objects may be allowed.
///
/// # Panics
///
/// As [`conformance`].
pub fn remote_conformance(mut fresh: impl FnMut() -> Arc<dyn Storage>) {
    for check in CHECKS.iter().chain(REMOTE_CHECKS) {
        check(&*fresh());
    }
}

/// Adds one to the decimal number in an object by compare-and-swap, as often as it takes.
///
/// # Panics
///
/// Where the storage fails otherwise than by a conflict, or holds no number there.
pub fn increment(storage: &dyn Storage, counter: &Key) {
    loop {
        let object = storage.get(counter).expect("get").expect("a counter");
        let count: u64 = str::from_utf8(object.bytes()).expect("text").parse().expect("a number");
        let condition = PutIf::Version(object.version().clone());
        match storage.put(counter, (count + 1).to_string().into(), condition) {
            Ok(()) => return,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
}
