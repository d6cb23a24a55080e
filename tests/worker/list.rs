//! A listing, and the memory that it takes.

use std::{
    error::Error,
    fs,
    io::{self, Write},
    path::Path,
};

use larder_storage::{Durability, LocalStorage, Storage};

/// Lists all below `root`, and writes how many there are and by how many bytes the memory of this process grew.
pub(crate) fn list(root: &Path) -> Result<(), Box<dyn Error>> {
    let storage = LocalStorage::open(root, Durability::Process)?;
    let before = most_memory()?;
    let mut listed = 0;
    for entry in storage.list(None)? {
        entry?;
        listed += 1;
    }
    Ok(writeln!(io::stdout(), "{listed} {}", most_memory()? - before)?)
}

/// The most bytes of memory that this process ever had in use.
fn most_memory() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no VmHWM in /proc/self/status")?.parse::<u64>()? << 10)
}
