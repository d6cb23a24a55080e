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
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Durability, Error, ErrorKind, RESERVED_SEGMENT, Result, lock::FileLock};

mod area;
mod ballast;
mod dir;
mod room;
mod sync;
mod tree;
#[cfg(target_os = "linux")]
mod unnamed;

use area::Area;
pub use ballast::Ballast;
pub use dir::StagedDir;
use room::Room;
pub use tree::remove_dir;

/// Builds files and directories out of sight and publishes them under `root` by one rename each.
///
/// Making one touches nothing; the stage area appears with the first use and goes with this value and
/// the last of what was staged.
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
        let create =
            |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let (file, slot) = self.make(create, "cannot make a stage file")?;
        Ok(StagedFile { file: BufWriter::new(file), room: Room::default(), broken: None, slot })
    }

    /// A new, empty file without a name, to read and write: it is gone when it is closed, also by a kill.
    ///
    /// # Errors
    ///
    /// `Io` or `Full` where it cannot be made.
    pub fn unnamed(&self) -> Result<File> {
        create_dirs(&self.root, self.durability)?;
        #[cfg(target_os = "linux")]
        if let Some(file) = unnamed::in_dir(&self.root) {
            return Ok(file);
        }
        let create =
            |path: &Path| OpenOptions::new().read(true).write(true).create_new(true).open(path);
        // The name goes with the slot, or is swept.
        self.make(create, "cannot make a scratch file").map(|(file, _)| file)
    }

    /// A new, empty directory.
    ///
    /// # Errors
    ///
    /// `Io` or `Full` where it cannot be made.
    pub fn dir(&self) -> Result<StagedDir> {
        let ((), slot) = self.make(|path| fs::create_dir(path), "cannot make a stage directory")?;
        Ok(StagedDir::new(slot))
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
    /// `Io` where it cannot be renamed, and then it is whole, or cannot be removed, and then its name is free. Where
    /// the removal of its name cannot be flushed, a power cut may bring a part of it back.
    pub fn discard(&self, target: &Path) -> Result<bool> {
        let slot = match self.slot() {
            // A rename takes no room, and what lies in the stage under no lock is swept.
            Err(error) if error.kind() == ErrorKind::Full => Slot::unowned(self),
            slot => slot?,
        };
        if !self.retire(target, &slot.path)? {
            return Ok(false);
        }
        slot.remove().map(|()| true)
    }

    /// Takes a directory out of its place, at once for every reader, and keeps all that is in it as `to`, where nothing
    /// may be yet; whether there was one. The directory that `to` lies in has to be there.
    ///
    /// # Errors
    ///
    /// `Io` where it cannot be renamed, and then it is where it was; also where the change cannot be flushed, and then a
    /// power cut may bring it back.
    pub fn retire(&self, target: &Path, to: &Path) -> Result<bool> {
        match fs::rename(target, to) {
            Ok(()) => {}
            Err(error) if is_absent(&error) && !is_there(target) => return Ok(false),
            Err(error) => {
                return Err(Error::io(error, "cannot remove the directory").at_path(target));
            }
        }
        self.settle(target)?;
        Ok(true)
    }

    /// Makes the removal of `target` as durable as its publication would be, whatever is left of its directories.
    pub(crate) fn settle(&self, target: &Path) -> Result<()> {
        sync::settle(target, &self.root, self.durability)
    }

    /// Makes something in a slot; in a new area, where something else took the whole area away.
    fn make<T>(&self, make: impl Fn(&Path) -> io::Result<T>, failed: &str) -> Result<(T, Slot)> {
        let mut slot = self.slot()?;
        let mut made = make(&slot.path);
        if made.as_ref().is_err_and(is_absent) {
            *self.area() = None;
            slot = self.slot()?;
            made = make(&slot.path);
        }
        match made {
            Ok(made) => Ok((made, slot)),
            Err(error) => Err(Error::io(error, failed).at_path(&slot.path)),
        }
    }

    fn slot(&self) -> Result<Slot> {
        let mut area = self.area();
        let area = match &*area {
            Some(area) => Arc::clone(area),
            None => Arc::clone(area.insert(Arc::new(Area::claim(&area::stage_dir(&self.root))?))),
        };
        Ok(Slot::new(self, area.next(), Some(area)))
    }

    fn area(&self) -> MutexGuard<'_, Option<Arc<Area>>> {
        self.area.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// None where there was no room for one.
    _area: Option<Arc<Area>>,
}

impl Slot {
    fn new(stage: &Stage, path: PathBuf, area: Option<Arc<Area>>) -> Self {
        let (root, durability) = (stage.root.clone(), stage.durability);
        Self { path, root, durability, published: false, _area: area }
    }

    /// A place in no area, for what is only to be removed.
    fn unowned(stage: &Stage) -> Self {
        Self::new(stage, area::unowned(&stage.root), None)
    }

    fn remove(&self) -> Result<()> {
        let removed = match fs::remove_file(&self.path) {
            Err(error) if !is_absent(&error) => tree::remove(&self.path),
            _ => return Ok(()),
        };
        removed
            .map_err(|error| Error::io(error, "cannot remove what was staged").at_path(&self.path))
    }

    /// Renames to `target` and makes the new name durable.
    fn publish(self, target: &Path) -> Result<()> {
        self.rename(target)?.settle()
    }

    /// Renames to `target`, below directories that may come and go meanwhile.
    pub(crate) fn rename(mut self, target: &Path) -> Result<Published<'_>> {
        let failed = |error| Error::io(error, "cannot publish under this name").at_path(target);
        // A remover may take an empty parent away at any moment; each round needs another such race.
        for _ in 0..1000 {
            match fs::rename(&self.path, target) {
                Ok(()) => {
                    self.published = true;
                    return Ok(Published { target, slot: self });
                }
                Err(error) if is_race(&error) && self.path.exists() => {
                    if let Some(why) = obstacle(target) {
                        let invalid = Error::new(ErrorKind::Invalid, why).at_path(target);
                        return Err(invalid.with_source(error));
                    }
                    make_parent(target).map_err(failed)?;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "its directory is removed over and over")
            .at_path(target))
    }
}

/// What has its name, which a power cut may still take away.
#[must_use = "the new name is not durable before it is settled"]
#[derive(Debug)]
pub struct Published<'a> {
    target: &'a Path,
    slot: Slot,
}

impl Published<'_> {
    /// Makes the new name as durable as the stage says. Others may use it meanwhile.
    ///
    /// # Errors
    ///
    /// `Io` where it cannot be flushed: whether it survives a power cut is not known then.
    pub fn settle(self) -> Result<()> {
        sync::settle(self.target, &self.slot.root, self.slot.durability)
    }
}

/// Why a directory's name is no object's.
pub(crate) const OBJECTS_BELOW: &str = "objects lie below this key: it cannot be one";

/// Makes the directories above `target`, unless somebody removes one of them meanwhile.
fn make_parent(target: &Path) -> io::Result<()> {
    match target.parent().map_or(Ok(()), fs::create_dir_all) {
        Err(error) if is_race(&error) => Ok(()),
        made => made,
    }
}

/// What directories and files that come or go meanwhile look like to whoever makes a name.
fn is_race(error: &io::Error) -> bool {
    use io::ErrorKind as Os;
    matches!(
        error.kind(),
        Os::NotFound
            | Os::AlreadyExists
            | Os::NotADirectory
            | Os::IsADirectory
            | Os::DirectoryNotEmpty
    )
}

/// Why there can be no file of this name, if that is still so.
fn obstacle(target: &Path) -> Option<&'static str> {
    if target.ancestors().skip(1).any(Path::is_file) {
        Some("cannot lie inside an object: remove that one first")
    } else if target.is_dir() {
        Some(OBJECTS_BELOW)
    } else {
        None
    }
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
    room: Room,
    /// How a write failed: there is a gap then.
    broken: Option<io::ErrorKind>,
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

    /// As [`publish`](Self::publish), but only into a directory that is there; whether it is.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_beside(self, target: &Path) -> Result<bool> {
        let failed = |error| Error::io(error, "cannot write the file").at_path(target);
        let mut slot = self.seal().map_err(failed)?;
        match fs::rename(&slot.path, target) {
            Err(error) if is_absent(&error) => return Ok(false),
            renamed => renamed.map_err(failed)?,
        }
        slot.published = true;
        Published { target, slot }.settle().map(|()| true)
    }

    /// Whether the content is flushed to the device before it is published.
    pub(crate) fn syncs(&self) -> bool {
        self.slot.durability.syncs()
    }

    /// Makes the content as durable as the stage says, and closes the file.
    pub(crate) fn seal(self) -> io::Result<Slot> {
        let (file, slot) = self.finish()?;
        if slot.durability.syncs() {
            file.sync_all()?;
        }
        Ok(slot)
    }

    /// Where the file lies while it is built.
    pub fn path(&self) -> &Path {
        &self.slot.path
    }

    fn finish(self) -> io::Result<(File, Slot)> {
        if let Some(kind) = self.broken {
            return Err(io::Error::new(kind, "an earlier part of it was not written"));
        }
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.room.give_back(&file)?;
        Ok((file, self.slot))
    }
}

impl Write for StagedFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.room.reserve(self.file.get_ref(), buf.len());
        let written = self.file.write(buf);
        if let Err(error) = &written {
            self.broken = Some(error.kind()).filter(|kind| *kind != io::ErrorKind::Interrupted);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Makes a directory and those above it where they are missing. At [`Durability::Power`] their names are flushed, also
/// those of directories that are there already: whoever made them need not have flushed them.
///
/// # Errors
///
/// `Full` or `Io` where one cannot be made or flushed. One that may not be read is not flushed.
pub fn create_dirs(dir: &Path, durability: Durability) -> Result<()> {
    fs::create_dir_all(dir)
        .map_err(|error| Error::io(error, "cannot make the directory").at_path(dir))?;
    if durability.syncs() { sync::above(dir) } else { Ok(()) }
}

/// Refuses a name that is taken.
fn check_vacant(target: &Path) -> Result<()> {
    match fs::symlink_metadata(target) {
        Ok(_) => Err(Error::new(ErrorKind::Conflict, "exists already").at_path(target)),
        Err(error) if is_absent(&error) => Ok(()),
        Err(error) => Err(Error::io(error, "cannot look whether it exists").at_path(target)),
    }
}

/// Moves a damaged file or directory to `target`, where nothing may be, for a person to look at. Nothing is deleted and
/// nothing is flushed. Others that move to the same place have to be kept away by the caller.
///
/// # Errors
///
/// `Conflict` where `target` exists; `NotFound` or `Io` where it cannot be moved.
pub fn set_aside(path: &Path, target: &Path) -> Result<()> {
    let failed = |error| Error::io(error, "cannot be moved aside").at_path(path);
    check_vacant(target)?;
    target.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::rename(path, target).map_err(failed)
}

/// Whether an error says that there is nothing of that name.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
