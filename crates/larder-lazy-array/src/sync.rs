//! The synchronisation that arrays and their budget are built on: that of the standard library, or, for a test of all
//! that can happen between threads, one that chooses who goes on.

#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    thread,
};

#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
};
#[cfg(shuttle)]
pub(crate) use std::sync::OnceLock;
