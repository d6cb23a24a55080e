//! Whose turn it is to write, and how often there was one.

use std::{
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use larder_storage::{Error, Result};

use crate::counter::Counter;

/// The file `<database>.write`, which stays open. It is locked by the writer whose turn it is, and holds the number of
/// beginnings and ends of turns so far: it is odd during a turn, and after one whose writer died in it.
#[derive(Debug)]
pub(crate) struct Turns {
    file: File,
    count: Counter,
    path: PathBuf,
}

/// A turn that lasts; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    turns: &'a Turns,
    /// The even number before this turn.
    before: u64,
}

impl Turns {
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let open = || {
            let file =
                File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
            wait(&file)?;
            let count = Counter::map(&file);
            file.unlock()?;
            Ok((file, count?))
        };
        let (file, count) = open().map_err(|error| failed(error, &path))?;
        Ok(Self { file, count, path })
    }

    /// Waits for a turn. One value gives one at a time to the threads that hold it: they have to exclude each other.
    pub(crate) fn take(&self) -> Result<Taken<'_>> {
        wait(&self.file).map_err(|error| failed(error, &self.path))?;
        let count = self.count.get();
        let before = count + count % 2;
        self.count.set(before + 1);
        Ok(Taken { turns: self, before })
    }

    /// How many turns there were; `None` while there is one.
    pub(crate) fn finished(&self) -> Option<u64> {
        Some(self.count.get()).filter(|count| count % 2 == 0)
    }
}

impl Taken<'_> {
    /// The number of finished turns, as [`Turns::finished`] told it before this one and will tell it after.
    pub(crate) fn span(&self) -> Range<u64> {
        self.before..self.before + 2
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.turns.count.set(self.before + 2);
        let _ = self.turns.file.unlock();
    }
}

fn wait(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
    }
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
        let (turns, other) = (Turns::open(path.clone()).unwrap(), Turns::open(path).unwrap());
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
        drop(turn);
        assert_eq!(turns.finished(), Some(6));
    }
}
