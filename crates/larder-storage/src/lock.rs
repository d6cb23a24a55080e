//! Shared and exclusive locks on files, which the kernel releases when their holder dies.
//!
//! What a lock file holds has no meaning here, nor has whether it exists. Locks of one process exclude
//! each other just as locks of two do, because each one opens the file anew.

use std::{
    ffi::OsString,
    fs::{self, DirEntry, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

#[cfg(doc)]
use crate::Digest;
use crate::{Error, ErrorKind, Result};

/// A held lock; dropping it releases it.
#[must_use = "the lock is released when this is dropped"]
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Shared,
    Exclusive,
}

impl FileLock {
    /// Waits for a lock that many may hold at once. Creates the file and its directory where they are missing.
    ///
    /// # Errors
    ///
    /// `Io` where the file cannot be opened or locked.
    pub fn shared(path: &Path) -> Result<Self> {
        Self::wait(path, Mode::Shared, open)
    }

    /// As [`shared`](Self::shared), but `None` where there is no file.
    ///
    /// # Errors
    ///
    /// As [`shared`](Self::shared).
    pub fn shared_existing(path: &Path) -> Result<Option<Self>> {
        let existing = |path: &Path| OpenOptions::new().read(true).open(path);
        match Self::wait(path, Mode::Shared, existing) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            locked => locked.map(Some),
        }
    }

    /// Waits for a lock that excludes every other one.
    ///
    /// # Errors
    ///
    /// As [`shared`](Self::shared).
    pub fn exclusive(path: &Path) -> Result<Self> {
        Self::wait(path, Mode::Exclusive, open)
    }

    /// The lock of [`shared`](Self::shared), or `None` where somebody holds it exclusively.
    ///
    /// # Errors
    ///
    /// As [`shared`](Self::shared).
    pub fn try_shared(path: &Path) -> Result<Option<Self>> {
        Self::attempt(path, Mode::Shared)
    }

    /// The lock of [`exclusive`](Self::exclusive), or `None` where anybody holds it.
    ///
    /// # Errors
    ///
    /// As [`shared`](Self::shared).
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        Self::attempt(path, Mode::Exclusive)
    }

    /// Releases the lock and, where it was exclusive, removes its file: whoever waits on the removed file notices and
    /// starts anew. The file of a shared lock stays, because others may hold it.
    ///
    /// # Errors
    ///
    /// `Io` where the file cannot be removed; the lock is released all the same.
    pub fn remove(self) -> Result<()> {
        if self.mode == Mode::Shared {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error, &self.path)),
            _ => Ok(()),
        }
    }

    fn wait(path: &Path, mode: Mode, open: fn(&Path) -> io::Result<File>) -> Result<Self> {
        loop {
            let file = open(path).map_err(|error| failed(error, path))?;
            lock(&file, mode).map_err(|error| failed(error, path))?;
            if is_current(&file, path).map_err(|error| failed(error, path))? {
                return Ok(Self { file, path: path.to_owned(), mode });
            }
        }
    }

    fn attempt(path: &Path, mode: Mode) -> Result<Option<Self>> {
        loop {
            let file = open(path).map_err(|error| failed(error, path))?;
            let tried = match mode {
                Mode::Shared => file.try_lock_shared(),
                Mode::Exclusive => file.try_lock(),
            };
            match tried {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(failed(error, path)),
            }
            if is_current(&file, path).map_err(|error| failed(error, path))? {
                return Ok(Some(Self { file, path: path.to_owned(), mode }));
            }
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file is not enough while another thread starts a process, which has it open until it runs.
        let _ = self.file.unlock();
    }
}

/// Removes the lock files in `dir` that nobody holds, as processes leave them that die before they remove theirs;
/// returns how many went. Only empty files named by a [`Digest`] count. Right for locks that are taken exclusively and
/// removed after use.
///
/// # Errors
///
/// `Io` where the directory cannot be listed, or where a file cannot be removed, after the rest was.
pub fn sweep(dir: &Path) -> Result<usize> {
    let unlisted = |error| Error::io(error, "cannot list the locks").at_path(dir);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries.map_err(unlisted)?,
    };
    let (mut swept, mut failure) = (0, None);
    for entry in entries {
        let entry = entry.map_err(unlisted)?;
        if !may_be_lock(&entry) {
            continue;
        }
        match sweep_one(&entry.path()) {
            Ok(removed) => swept += usize::from(removed),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(swept), Err)
}

/// Whether a file may be what a lock left, and not somebody's own.
fn may_be_lock(entry: &DirEntry) -> bool {
    let is_digest = |name: OsString| {
        name.len() == 64
            && name.to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    is_digest(entry.file_name())
        && entry.metadata().is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// Whether nobody held the lock, and so its file is gone.
fn sweep_one(path: &Path) -> Result<bool> {
    let Some(free) = FileLock::try_exclusive(path)? else { return Ok(false) };
    free.remove().map(|()| true)
}

fn failed(error: io::Error, path: &Path) -> Error {
    Error::io(error, "cannot lock the file").at_path(path)
}

fn lock(file: &File, mode: Mode) -> io::Result<()> {
    loop {
        let locked = match mode {
            Mode::Shared => file.lock_shared(),
            Mode::Exclusive => file.lock(),
        };
        match locked {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let create =
        || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            create()
        }
        // A file that may only be read can still be locked.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            File::open(path).map_err(|_| error)
        }
        other => other,
    }
}

/// Whether the locked file is still the one that the path names, that is, nobody removed it in between.
#[cfg(unix)]
fn is_current(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// An open file cannot be removed here.
#[cfg(not(unix))]
fn is_current(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, thread};

    use super::*;
    use crate::Digest;

    #[test]
    fn shared_holders_exclude_only_an_exclusive_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/down.lock");
        let first = FileLock::shared(&path).unwrap();
        let second = FileLock::try_shared(&path).unwrap().unwrap();
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
        drop((first, second));
        let alone = FileLock::try_exclusive(&path).unwrap().unwrap();
        assert!(FileLock::try_shared(&path).unwrap().is_none());
        assert!(FileLock::shared_existing(&dir.path().join("none")).unwrap().is_none());
        assert!(!dir.path().join("none").exists());
        drop(alone);
        let (one, other) = (FileLock::shared(&path).unwrap(), FileLock::shared(&path).unwrap());
        one.remove().unwrap();
        assert!(FileLock::try_exclusive(&path).unwrap().is_none(), "the other one still holds it");
        drop(other);
        assert!(FileLock::try_shared(&path).unwrap().is_some());
    }

    #[test]
    fn free_locks_are_swept_and_held_ones_and_files_of_others_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let lock = |name: &str| path(&Digest::of(name.as_bytes()).to_string());
        assert_eq!(sweep(&path("missing")).unwrap(), 0);
        let held = FileLock::exclusive(&lock("held")).unwrap();
        drop(FileLock::exclusive(&lock("left")).unwrap());
        File::create(path("thesis.tex")).unwrap();
        fs::write(lock("content"), "precious").unwrap();
        fs::create_dir(lock("directory")).unwrap();
        assert_eq!(sweep(dir.path()).unwrap(), 1);
        held.remove().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_released_lock_is_free_though_a_new_process_still_has_its_file_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let held = FileLock::exclusive(&path).unwrap();
        let inherited = held.file.try_clone().unwrap();
        drop(held);
        assert!(FileLock::try_exclusive(&path).unwrap().is_some());
        drop(inherited);
    }

    /// Lets threads take a lock by `take` and remove its file, over and over; no two may hold it at once.
    fn take_and_remove(take: fn(&Path) -> Result<Option<FileLock>>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let inside = Mutex::new(());
        let take =
            || std::iter::repeat_with(|| take(&path).unwrap()).find_map(|lock| lock).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..60 {
                        let lock = take();
                        let alone = inside.try_lock().expect("two holders");
                        // Time for a second one to come in.
                        thread::yield_now();
                        drop(alone);
                        lock.remove().unwrap();
                    }
                });
            }
        });
        assert!(!path.exists());
    }

    #[test]
    fn a_removed_lock_file_never_lets_two_in_that_wait() {
        take_and_remove(|path| FileLock::exclusive(path).map(Some));
    }

    #[test]
    fn a_removed_lock_file_never_lets_two_in_that_ask() {
        take_and_remove(FileLock::try_exclusive);
    }
}
