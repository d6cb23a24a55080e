use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Stage;
use crate::{Durability, ErrorKind, RESERVED_SEGMENT, Result};

/// An index takes less for one small change, which then makes room for the next.
const BYTES: usize = 256 << 10;

/// Room that is kept for a full disk, `<root>/.larder/ballast`, where something has to be written before anything can be
/// freed.
///
/// ```
/// use larder_storage::{Durability, publish::Ballast};
///
/// # fn main() -> larder_storage::Result<()> {
/// # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
/// # let root = dir.path();
/// # let remove_the_oldest = || Ok(());
/// # let empty_the_log = || Ok(());
/// let ballast = Ballast::new(root, Durability::Process);
/// ballast.take()?;
/// // Removes it, or does so in the room of the ballast.
/// ballast.spend(empty_the_log, remove_the_oldest)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ballast {
    stage: Stage,
    path: PathBuf,
}

impl Ballast {
    /// The ballast of a root, whether or not it is there.
    pub fn new(root: &Path, durability: Durability) -> Self {
        Self {
            stage: Stage::new(root, durability),
            path: root.join(RESERVED_SEGMENT).join("ballast"),
        }
    }

    /// Takes the room, 256 KiB, where it is not taken; on a full disk there is none to take.
    ///
    /// # Errors
    ///
    /// `Io` where the file cannot be written.
    pub fn take(&self) -> Result<()> {
        if self.path.exists() {
            return Ok(());
        }
        // Bytes that no file system can write in less room.
        let mut bytes = vec![0; BYTES];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        match self.stage.write(&self.path, &bytes) {
            Err(error) if error.kind() == ErrorKind::Full => Ok(()),
            taken => taken,
        }
    }

    /// Does what frees room; where there is none to do it in, the ballast is given up, and `work` done again after
    /// `prepare`, which makes the best of the room.
    ///
    /// # Errors
    ///
    /// Those of `work`.
    pub fn spend<T>(
        &self,
        prepare: impl FnOnce() -> Result<()>,
        work: impl Fn() -> Result<T>,
    ) -> Result<T> {
        match work() {
            Err(error)
                if error.kind() == ErrorKind::Full && fs::remove_file(&self.path).is_ok() =>
            {
                // Where it fails, the room may do all the same.
                let _ = prepare();
                work()
            }
            done => done,
        }
    }
}
