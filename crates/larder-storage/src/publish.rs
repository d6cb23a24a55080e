//! Atomic publication of files and of whole directories, and the stage area they are built in.
//!
//! What is to be published is built in a stage area on the same file system, `<root>/.larder/stage/<area>/`, and
//! appears under its name by one rename. An area belongs to one [`Stage`] value, which holds a file lock on it for its
//! life: areas whose lock is free are of dead processes and are swept, never by age or pid.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Durability, Error, ErrorKind, RESERVED_SEGMENT, Result, lock::FileLock};

mod area;
mod sync;
mod tree;

use area::Area;

/// Builds files and directories out of sight and publishes them under `root` by one rename each.
///
/// Making one touches nothing; the stage area appears with the first use and goes with this value.
#[derive(Debug)]
pub struct Stage {
    root: PathBuf,
    durability: Durability,
    area: Mutex<Option<Arc<Area>>>,
}

impl Stage {
    /// A stage for publication under the directory `root`.
    pub fn new(root: impl Into<PathBuf>, durability: Durability) -> Self {
        Self { root: root.into(), durability, area: Mutex::new(None) }
    }

    /// Removes what dead processes left in the stage area of `root`; returns how many areas went.
    ///
    /// # Errors
    ///
    /// `Io` where something cannot be removed, after the rest was.
    pub fn sweep(root: &Path) -> Result<usize> {
        area::sweep(&area::stage_dir(root))
    }

    /// A new, empty file.
    ///
    /// # Errors
    ///
    /// `Io` or `Full` where it cannot be made.
    pub fn file(&self) -> Result<StagedFile> {
        let slot = self.slot()?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&slot.path);
        let file =
            file.map_err(|error| Error::io(error, "cannot make a stage file").at_path(&slot.path))?;
        Ok(StagedFile { file: BufWriter::new(file), slot })
    }

    /// A new, empty directory.
    ///
    /// # Errors
    ///
    /// `Io` or `Full` where it cannot be made.
    pub fn dir(&self) -> Result<StagedDir> {
        let slot = self.slot()?;
        let made = fs::create_dir(&slot.path);
        made.map_err(|error| {
            Error::io(error, "cannot make a stage directory").at_path(&slot.path)
        })?;
        Ok(StagedDir { slot })
    }

    /// Publishes `bytes` as the file `target`, replacing what is there.
    ///
    /// # Errors
    ///
    /// As [`StagedFile::publish`].
    pub fn write(&self, target: &Path, bytes: &[u8]) -> Result<()> {
        let mut staged = self.file()?;
        let written = staged.file.get_mut().write_all(bytes);
        written.map_err(|error| Error::io(error, "cannot write the file").at_path(target))?;
        staged.publish(target)
    }

    /// Removes a directory and all in it, at once for every reader: it is renamed into the stage area first. Whether
    /// there was one. What a kill leaves of it there is swept.
    ///
    /// # Errors
    ///
    /// `Io` where it cannot be renamed, and then it is whole, or cannot be removed, and then its name is free.
    pub fn discard(&self, target: &Path) -> Result<bool> {
        let slot = self.slot()?;
        match fs::rename(target, &slot.path) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(false),
            Err(error) => {
                return Err(Error::io(error, "cannot remove the directory").at_path(target));
            }
        }
        self.settle(target)?;
        slot.remove().map(|()| true)
    }

    /// Makes the removal of `target` as durable as its publication would be, whatever is left of its directories.
    pub(crate) fn settle(&self, target: &Path) -> Result<()> {
        sync::settle(target, &self.root, self.durability)
    }

    fn slot(&self) -> Result<Slot> {
        let mut area = self.area.lock().unwrap_or_else(PoisonError::into_inner);
        let area = match &*area {
            Some(area) => Arc::clone(area),
            None => Arc::clone(area.insert(Arc::new(Area::claim(&area::stage_dir(&self.root))?))),
        };
        Ok(Slot {
            path: area.next(),
            root: self.root.clone(),
            durability: self.durability,
            published: false,
            _area: area,
        })
    }
}

/// A place in the stage area; what is there when it is dropped goes.
#[derive(Debug)]
pub(crate) struct Slot {
    path: PathBuf,
    root: PathBuf,
    durability: Durability,
    /// Whether it was renamed to where it is published: then nothing is left here.
    published: bool,
    _area: Arc<Area>,
}

impl Slot {
    fn remove(&self) -> Result<()> {
        let removed = match fs::remove_file(&self.path) {
            Err(error) if !is_absent(&error) => tree::remove(&self.path),
            _ => return Ok(()),
        };
        removed
            .map_err(|error| Error::io(error, "cannot remove what was staged").at_path(&self.path))
    }

    /// Renames to `target` and makes the new name durable.
    pub(crate) fn publish(mut self, target: &Path) -> Result<()> {
        self.rename(target)?;
        sync::settle(target, &self.root, self.durability)
    }

    /// Renames to `target`, below directories that may come and go meanwhile.
    fn rename(&mut self, target: &Path) -> Result<()> {
        let failed = |error| Error::io(error, "cannot publish under this name").at_path(target);
        // A remover may take an empty parent away at any moment; each round needs another such race.
        for _ in 0..1000 {
            match fs::rename(&self.path, target) {
                Ok(()) => {
                    self.published = true;
                    return Ok(());
                }
                Err(error) if is_race(&error) && self.path.exists() && !lies_in_a_file(target) => {
                    make_parent(target).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "its directory is removed over and over")
            .at_path(target))
    }
}

/// Makes the directories above `target`, unless somebody removes one of them meanwhile.
fn make_parent(target: &Path) -> io::Result<()> {
    match target.parent().map_or(Ok(()), fs::create_dir_all) {
        Err(error) if is_race(&error) => Ok(()),
        made => made,
    }
}

/// What a directory that comes or goes meanwhile looks like to whoever makes it.
fn is_race(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
}

fn lies_in_a_file(target: &Path) -> bool {
    target.ancestors().skip(1).any(Path::is_file)
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is swept later.
            let _ = self.remove();
        }
    }
}

/// A file under construction. Dropping it unpublished removes it.
#[must_use = "a staged file that is not published is removed"]
#[derive(Debug)]
pub struct StagedFile {
    // Declared first: closed before the slot removes the file.
    file: BufWriter<File>,
    slot: Slot,
}

impl StagedFile {
    /// Publishes the file as `target`, replacing the file that is there, and makes it as durable as the stage says.
    /// Directories on the way are made.
    ///
    /// # Errors
    ///
    /// `Full` or `Io` where it cannot be written, flushed or renamed. After a failed flush nothing is published;
    /// after a failed flush of the directory the file is there but its durability is not known.
    pub fn publish(self, target: &Path) -> Result<()> {
        let sealed = self.seal();
        sealed
            .map_err(|error| Error::io(error, "cannot write the file").at_path(target))?
            .publish(target)
    }

    /// Makes the content as durable as the stage says, and closes the file: publishing what is left takes no time.
    pub(crate) fn seal(self) -> io::Result<Slot> {
        let Self { file, slot } = self;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        if slot.durability.syncs() {
            file.sync_all()?;
        }
        Ok(slot)
    }

    /// Where the file lies while it is built.
    pub fn path(&self) -> &Path {
        &self.slot.path
    }

    /// Closes the file without publishing it: what remains is a place, and no open file.
    ///
    /// # Errors
    ///
    /// `Full` or `Io` where the last of it cannot be written; it is then removed.
    pub fn close(self) -> Result<StagedPath> {
        let Self { file, slot } = self;
        file.into_inner().map_err(|error| {
            Error::io(error.into_error(), "cannot write the file").at_path(&slot.path)
        })?;
        Ok(StagedPath { slot })
    }
}

/// A file in the stage area that nobody has open. Dropping it removes it.
#[must_use = "the file is removed when this is dropped"]
#[derive(Debug)]
pub struct StagedPath {
    slot: Slot,
}

impl StagedPath {
    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.slot.path
    }
}

impl Write for StagedFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A directory under construction. Dropping it unpublished removes it with all that is in it.
#[must_use = "a staged directory that is not published is removed"]
#[derive(Debug)]
pub struct StagedDir {
    slot: Slot,
}

impl StagedDir {
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
        let slot = self.slot;
        if slot.durability.syncs() {
            sync::tree(&slot.path)?;
        }
        // A rename would replace an empty directory, so the look and the rename exclude other publishers.
        let alone = slot.root.join(RESERVED_SEGMENT).join("locks").join("publish");
        let _alone = FileLock::exclusive(&alone)?;
        if fs::symlink_metadata(target).is_ok() {
            return Err(Error::new(ErrorKind::Conflict, "exists already").at_path(target));
        }
        slot.publish(target)
    }
}

/// Makes a directory and those above it where they are missing, and flushes what was made at
/// [`Durability::Power`].
///
/// # Errors
///
/// `Full` or `Io` where one cannot be made or flushed.
pub fn create_dirs(dir: &Path, durability: Durability) -> Result<()> {
    let missing: Vec<_> = dir.ancestors().take_while(|above| !above.exists()).collect();
    fs::create_dir_all(dir)
        .map_err(|error| Error::io(error, "cannot make the directory").at_path(dir))?;
    if durability.syncs() {
        missing.iter().filter_map(|made| made.parent()).try_for_each(sync::flush)?;
    }
    Ok(())
}

/// Moves a damaged file or directory to `target`, where nothing may be, for a person to look at. Nothing is deleted.
///
/// # Errors
///
/// `Conflict` where `target` exists; `NotFound` or `Io` where it cannot be moved.
pub fn set_aside(path: &Path, target: &Path) -> Result<()> {
    let failed = |error| Error::io(error, "cannot be moved aside").at_path(path);
    if fs::symlink_metadata(target).is_ok() {
        return Err(Error::new(ErrorKind::Conflict, "exists already").at_path(target));
    }
    target.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::rename(path, target).map_err(failed)
}

/// Whether an error says that there is nothing of that name.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
