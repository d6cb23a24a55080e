//! Mapped files of this run.

use std::{fs::File, path::Path};

use memmap2::Mmap;

use crate::Outcome;

#[expect(unsafe_code, reason = "whoever maps a file has to know that nobody changes it")]
pub(super) fn map(path: &Path) -> Outcome<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the file is in a directory of this run, which wrote it and does not change it any more.
    Ok(unsafe { Mmap::map(&file)? })
}
