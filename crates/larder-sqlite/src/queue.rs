//! Whose turn it is to write, and how often there was one.

use std::{
    fs::{File, TryLockError},
    io,
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use larder_storage::{Error, ErrorKind, Result, counter::Counter};

/// The file `<database>.write`, which stays open. It is locked by the writer whose turn it is, and holds the number of
/// beginnings and ends of turns so far: it is odd during a turn, and after one whose writer died in it.
#[derive(Debug)]
pub(crate) struct Queue {
    file: File,
    count: Counter,
    path: PathBuf,
}

/// A turn that lasts; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    queue: &'a Queue,
    /// The even numbers before this turn and after it.
    before: u64,
    after: u64,
}

impl Queue {
    /// Waits for nobody who writes, but where the file is new.
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let open = || {
            let file =
                File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            let is_new = file.metadata()?.len() < Counter::LEN;
            if is_new {
                wait(&file)?;
            }
            let is_alone = is_new || file.try_lock().is_ok();
            let count = Counter::map(&file)?;
            if is_alone {
                // Whoever died in his turn left it odd.
                count.set(even(count.get()));
                file.unlock()?;
            }
            Ok((file, count))
        };
        let (file, count) = open().map_err(|error| failed(error, &path))?;
        Ok(Self { file, count, path })
    }

    /// A turn, where nobody has one.
    pub(crate) fn try_take(&self) -> Result<Option<Place<'_>>> {
        match self.file.try_lock() {
            Ok(()) => Ok(Some(self.begin())),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error, &self.path)),
        }
    }

    /// Waits for a turn. One value gives one at a time to the threads that hold it: they have to exclude each other.
    pub(crate) fn take(&self) -> Result<Place<'_>> {
        wait(&self.file).map_err(|error| failed(error, &self.path))?;
        Ok(self.begin())
    }

    fn begin(&self) -> Place<'_> {
        let before = even(self.count.get());
        self.count.set(before.wrapping_add(1));
        Place { queue: self, before, after: before.wrapping_add(2) }
    }

    /// Refuses to go on where the file is gone, because others wait in another one then.
    pub(crate) fn check(&self) -> Result<()> {
        match self.file.metadata() {
            Ok(found) if found.nlink() > 0 => Ok(()),
            Ok(_) => Err(removed(&self.path)),
            Err(error) => Err(failed(error, &self.path)),
        }
    }

    /// How many turns there were; `None` while there is one.
    pub(crate) fn finished(&self) -> Option<u64> {
        Some(self.count.get()).filter(|count| count % 2 == 0)
    }
}

impl Place<'_> {
    /// The number of finished turns, as [`Queue::finished`] told it before this one and will tell it after.
    pub(crate) fn span(&self) -> Range<u64> {
        self.before..self.after
    }

    /// The number after this turn is to be the one before it.
    pub(crate) fn keep_state(&mut self) {
        self.after = self.before;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.count.set(self.after);
        let _ = self.queue.file.unlock();
    }
}

/// The number of a turn that is over.
fn even(count: u64) -> u64 {
    count.wrapping_add(count % 2)
}

fn wait(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
    }
}

fn removed(path: &Path) -> Error {
    let message = "was removed while the database was open: nothing was written, open it again";
    Error::new(ErrorKind::NotFound, message).at_path(path)
}

fn failed(error: io::Error, path: &Path) -> Error {
    Error::io(error, "cannot take a turn at writing").at_path(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_counted_and_one_that_died_is_made_up_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.write");
        let open = || Queue::open(path.clone()).unwrap();
        let (turns, other) = (open(), open());
        assert_eq!(turns.finished(), Some(0));
        let turn = turns.take().unwrap();
        assert_eq!((turn.span(), other.finished()), (0..2, None));
        drop(turn);
        assert_eq!(other.finished(), Some(2));
        // As a process that was killed leaves it.
        turns.count.set(3);
        assert_eq!(other.finished(), None);
        let turn = other.take().unwrap();
        assert_eq!((turn.span(), turns.finished()), (4..6, None));
        drop(open());
        assert_eq!(turns.finished(), None, "opening waits for nobody and ends nobody's turn");
        drop(turn);
        assert_eq!(turns.finished(), Some(6));
        turns.count.set(7);
        assert_eq!(open().finished(), Some(8), "nobody is in the turn that was begun");
    }

    #[test]
    fn any_number_may_lie_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::open(dir.path().join("a.write")).unwrap();
        for count in [u64::MAX, u64::MAX - 1] {
            queue.count.set(count);
            drop(queue.take().unwrap());
            assert!(queue.finished().is_some());
        }
    }
}
