//! The Python package's index, kept in step with ours.

use std::{collections::HashSet, path::PathBuf};

use larder_storage::{Key, Result};

use super::{EmbeddingCache, compact::is_its_own_fault};
use crate::{
    index::{Found, Index},
    python_index::{PythonIndex, PythonRow, Session},
};

impl EmbeddingCache {
    /// Makes the Python package's index, `embeddings/index.sqlite`, anew: it is written beside the old one and renamed.
    /// What is there and is no index of the package is moved aside, to the same name with the time and `.bad`. Without
    /// [`Options::python_index`](crate::Options::python_index) it is not kept in step afterwards. Returns where it is.
    ///
    /// # Errors
    ///
    /// `Invalid` where the storage is no local directory; `Locked` where another program writes to the old one for a
    /// minute; `Corrupt`, `Full` or `Io` where a shard or an index cannot be read or written, and then the old one
    /// stays.
    pub fn export_python_index(&self) -> Result<PathBuf> {
        let _alone = self.write_alone()?;
        self.export_python_index_alone()
    }

    /// As [`export_python_index`](Self::export_python_index); the caller writes alone.
    pub(super) fn export_python_index_alone(&self) -> Result<PathBuf> {
        let python = PythonIndex::of(&*self.storage, self.durability)?;
        python.replace(|session| {
            for path in self.index.added_after(0)? {
                self.enter(session, &path)?;
            }
            session.set_mark(self.mark()?)
        })
    }

    /// Follows what a killed process, or one without the option, did; compares the shards' paths and one number.
    pub(super) fn mend_python_index(&self) -> Result<()> {
        let Some(python) = &self.python else { return Ok(()) };
        if self.differences(python)?.is_none() {
            return Ok(());
        }
        let _alone = self.write_alone()?;
        let Some((gone, lacking)) = self.differences(python)? else { return Ok(()) };
        python.write(|session| {
            gone.iter().try_for_each(|path| redirect(&self.index, session, path))?;
            lacking.iter().try_for_each(|path| self.enter_readable(session, path))?;
            self.catch_up(session, &lacking)
        })
    }

    /// The shards that only the Python package's index has, and those that it lacks; `None` where it is in step.
    fn differences(&self, python: &PythonIndex) -> Result<Option<(Vec<String>, HashSet<Key>)>> {
        let (theirs, mark) = python.shards()?;
        let ours = self.index.shards()?;
        let known: HashSet<&str> = ours.iter().map(Key::as_str).collect();
        let gone: Vec<_> =
            theirs.iter().filter(|path| !known.contains(&***path)).cloned().collect();
        let lacking: HashSet<_> =
            ours.into_iter().filter(|path| !theirs.contains(path.as_str())).collect();
        let is_in_step = gone.is_empty() && lacking.is_empty() && mark == self.mark()?;
        Ok((!is_in_step).then_some((gone, lacking)))
    }

    /// Follows a change of our index, which dropped these shards or added others. The caller writes alone.
    pub(super) fn follow_in_python(&self, dropped: &[Key]) -> Result<()> {
        let Some(python) = &self.python else { return Ok(()) };
        python.write(|session| {
            for path in dropped {
                redirect(&self.index, session, path.as_str())?;
            }
            self.catch_up(session, &HashSet::new())
        })
    }

    /// Enters the shards that were added to our index since the Python package's had them all, but for those that were
    /// `entered` just now.
    fn catch_up(&self, session: &Session<'_>, entered: &HashSet<Key>) -> Result<()> {
        let (last, mark) = (self.mark()?, session.mark()?);
        if mark == last {
            return Ok(());
        }
        // Where our index was made anew without the old one, it counts from the beginning.
        let known = if mark > last { 0 } else { mark };
        let added = self.index.added_after(known)?;
        let mut rest = added.iter().filter(|path| !entered.contains(*path));
        rest.try_for_each(|path| self.enter_readable(session, path))?;
        session.set_mark(last)
    }

    /// Enters a shard unless it is damaged: whoever reads it is told, and `repair` moves it aside.
    fn enter_readable(&self, session: &Session<'_>, path: &Key) -> Result<()> {
        match self.enter(session, path) {
            Err(error) if is_its_own_fault(&error) => Ok(()),
            entered => entered,
        }
    }

    /// What the mark of the Python package's index is where it is in step.
    fn mark(&self) -> Result<i64> {
        Ok(self.index.last_added()?.min(i32::MAX.into()))
    }

    /// Enters the rows that our index finds in a shard, in the place of those that are there for its path.
    fn enter(&self, session: &Session<'_>, path: &Key) -> Result<()> {
        let shard = self.open_shard(path)?;
        let (rows, times) = (shard.entries()?, shard.created()?);
        let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
        let found = self.index.find(&keys)?;
        let is_held =
            |found: &Option<Found>| found.as_ref().is_some_and(|it| it.shard.path == *path);
        let held = rows.iter().zip(times).zip(&found).filter(|(_, found)| is_held(found));
        redirect(&self.index, session, path.as_str())?;
        session.insert(
            path.as_str(),
            held.map(|((row, created), _)| PythonRow { key: row.key, row: row.row, created }),
        )
    }
}

/// Lets the rows of a shard that is dropped point to where our index finds them now, or goes without them.
fn redirect(index: &Index, session: &Session<'_>, path: &str) -> Result<()> {
    let rows = session.rows_of(path)?;
    let keys: Vec<_> = rows.iter().filter_map(|(_, key)| *key).collect();
    let mut found = index.find(&keys)?.into_iter();
    for (number, key) in rows {
        match key.and_then(|_| found.next().flatten()) {
            Some(found) => session.point(number, found.shard.path.as_str(), found.row)?,
            None => session.delete(number)?,
        }
    }
    Ok(())
}
