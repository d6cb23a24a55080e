//! Where benchmarks write.

use std::{cell::Cell, fs, io, path::PathBuf, process::Command};

use tempfile::TempDir;

/// Empty directories on the file system that builds lie on, which is seldom one in memory. All stay to the end of the
/// run: ext4 without a journal looks at every inode that was freed within the last seconds whenever it makes a file.
pub(crate) struct Directories {
    parent: TempDir,
    made: Cell<usize>,
}

impl Directories {
    pub(crate) fn new() -> io::Result<Self> {
        let parent = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"))?;
        Ok(Self { parent, made: Cell::new(0) })
    }

    pub(crate) fn next(&self) -> io::Result<PathBuf> {
        let number = self.made.replace(self.made.get() + 1);
        let dir = self.parent.path().join(number.to_string());
        fs::create_dir(&dir)?;
        Ok(dir)
    }

    /// Waits until what was written is on the disk, so that nothing that is timed waits for it.
    pub(crate) fn settle(&self) -> io::Result<()> {
        Command::new("sync").status().map(drop)
    }
}
