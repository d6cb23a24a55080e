//! Room that is kept for a full disk, where an eviction has to write to the index before it can free anything.

use std::{fs, path::PathBuf};

use larder_storage::{ErrorKind, RESERVED_SEGMENT, Result};

use crate::core::Core;

/// The index takes less for the removal of one entry, which then makes room for the next.
const BYTES: usize = 256 << 10;

impl Core {
    fn ballast(&self) -> PathBuf {
        self.storage.root().join(RESERVED_SEGMENT).join("ballast")
    }

    /// Takes the room, where it is not taken; on a full disk there is none to take.
    pub(crate) fn take_ballast(&self) -> Result<()> {
        let path = self.ballast();
        if path.exists() {
            return Ok(());
        }
        match self.storage.stage().write(&path, &[0; BYTES]) {
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            taken => taken,
        }
    }

    /// Does what frees room, and gives the ballast up for it where there is none to do it in.
    pub(crate) fn with_ballast<T>(&self, work: impl Fn() -> Result<T>) -> Result<T> {
        match work() {
            Err(error)
                if error.kind() == ErrorKind::Full && fs::remove_file(self.ballast()).is_ok() =>
            {
                work()
            }
            done => done,
        }
    }
}
