//! Which start of the machine this is: what was written without flushing it is whole for as long as it runs.

use larder_storage::{Digest, time::now_ns};

/// A number of this boot. Where the system does not name it, one of this opening of the cache.
pub(crate) fn current() -> i64 {
    let name = name().unwrap_or_else(|| now_ns().to_le_bytes().to_vec());
    Digest::of(&name).as_bytes().first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

#[cfg(not(target_os = "macos"))]
fn name() -> Option<Vec<u8>> {
    std::fs::read("/proc/sys/kernel/random/boot_id").ok()
}

#[cfg(target_os = "macos")]
fn name() -> Option<Vec<u8>> {
    let mut ask = std::process::Command::new("/usr/sbin/sysctl");
    let told = ask.args(["-n", "kern.bootsessionuuid"]).output().ok()?;
    told.status.success().then_some(told.stdout)
}
