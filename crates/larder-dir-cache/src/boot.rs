//! Which start of the machine this is: what was written without flushing it is whole for as long as it runs.

use std::fs;

use larder_storage::{Digest, time::now_ns};

/// A number of this boot. Where the system does not name it, one of this opening of the cache.
pub(crate) fn current() -> i64 {
    let name = fs::read("/proc/sys/kernel/random/boot_id");
    let name = name.unwrap_or_else(|_| now_ns().to_le_bytes().to_vec());
    Digest::of(&name).as_bytes().first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}
