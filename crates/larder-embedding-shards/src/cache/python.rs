//! The Python package's index, kept in step with ours.

use std::{collections::HashSet, path::PathBuf};

use larder_storage::{Key, Result};

use super::{EmbeddingCache, compact::is_its_own_fault};
use crate::{
    index::Index,
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
            for (_, info) in self.index.list()? {
                self.enter(session, &info.path)?;
            }
            Ok(())
        })
    }

    /// Enters what a killed process, or one without the option, did not; compares the shards' paths alone.
    pub(super) fn mend_python_index(&self) -> Result<()> {
        let Some(python) = &self.python else { return Ok(()) };
        if self.differences(python)?.is_none() {
            return Ok(());
        }
        let _alone = self.write_alone()?;
        let Some((extra, lacking)) = self.differences(python)? else { return Ok(()) };
        python.write(|session| {
            extra.iter().try_for_each(|path| redirect(&self.index, session, path))?;
            for path in &lacking {
                match self.enter(session, path) {
                    // Whoever reads it is told, and `repair` moves it aside.
                    Err(error) if is_its_own_fault(&error) => {}
                    entered => entered?,
                }
            }
            Ok(())
        })
    }

    /// The shards that only the Python package's index has, and those that it lacks.
    fn differences(&self, python: &PythonIndex) -> Result<Option<(Vec<String>, Vec<Key>)>> {
        let ours = self.index.list()?;
        let theirs = python.shards()?;
        let known: HashSet<&str> = ours.iter().map(|(_, info)| info.path.as_str()).collect();
        let extra: Vec<_> =
            theirs.iter().filter(|path| !known.contains(&***path)).cloned().collect();
        let lacks = |path: &Key| !theirs.contains(path.as_str());
        let lacking: Vec<_> = ours.into_iter().map(|(_, info)| info.path).filter(lacks).collect();
        Ok((!extra.is_empty() || !lacking.is_empty()).then_some((extra, lacking)))
    }

    /// Follows a change of our index: these shards were dropped, and then one was added. The caller writes alone.
    pub(super) fn follow_in_python(&self, dropped: &[Key], added: Option<&Key>) -> Result<()> {
        let Some(python) = &self.python else { return Ok(()) };
        python.write(|session| {
            for path in dropped {
                redirect(&self.index, session, path.as_str())?;
            }
            added.map_or(Ok(()), |path| self.enter(session, path))
        })
    }

    /// Enters the rows that our index finds in a shard.
    fn enter(&self, session: &Session<'_>, path: &Key) -> Result<()> {
        let shard = self.open_shard(path)?;
        let rows = shard.entries()?;
        let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
        let found = self.index.find(&keys)?;
        let held = found.iter().map(|row| row.as_ref().is_some_and(|row| row.shard.path == *path));
        let held: Vec<bool> = held.collect();
        let count = held.iter().filter(|held| **held).count();
        if session.count(path.as_str())? == count as u64 {
            return Ok(());
        }
        let times = shard.created()?;
        let rows = rows.iter().zip(times).zip(held).filter(|(_, held)| *held);
        session.insert(
            path.as_str(),
            rows.map(|((row, created), _)| PythonRow { key: row.key, row: row.row, created }),
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
