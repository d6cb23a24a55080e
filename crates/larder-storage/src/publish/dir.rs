use super::*;

/// A directory under construction. Dropping it unpublished removes it with all that is in it.
#[must_use = "a staged directory that is not published is removed"]
#[derive(Debug)]
pub struct StagedDir {
    slot: Slot,
}

impl StagedDir {
    pub(super) fn new(slot: Slot) -> Self {
        Self { slot }
    }

    /// Where the directory lies while it is built.
    pub fn path(&self) -> &Path {
        &self.slot.path
    }

    /// Publishes the directory whole as `target`, where nothing may be yet, and makes every file in it as durable as
    /// the stage says. Directories on the way are made.
    ///
    /// # Errors
    ///
    /// `Conflict` where `target` exists; `Full` or `Io` where it cannot be flushed or renamed.
    pub fn publish(self, target: &Path) -> Result<()> {
        self.rename(target)?.settle()
    }

    /// Publishes the directory as [`publish`](Self::publish) does, but for the new name, which may be lost in a power cut
    /// until [`Published::settle`]: where this fails, `target` is as it was.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn rename(self, target: &Path) -> Result<Published<'_>> {
        let slot = self.slot;
        if slot.durability.syncs() {
            sync::tree(&slot.path)?;
        }
        // A rename would replace an empty directory, so the look and the rename exclude other publishers.
        let alone = slot.root.join(RESERVED_SEGMENT).join("locks").join("publish");
        let alone = FileLock::exclusive(&alone)?;
        check_vacant(target)?;
        let published =
            slot.rename(target).or_else(|error| check_vacant(target).and(Err(error)))?;
        drop(alone);
        Ok(published)
    }
}
