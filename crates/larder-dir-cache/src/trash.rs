//! Where entries go that are removed: out of their place by one rename, and then deleted file by file.
//!
//! What lies there counts as used until it is gone, and a later cycle or open goes on where a process died.

use std::{collections::BTreeSet, fs, path::PathBuf};

use larder_storage::{Error, Key, RESERVED_SEGMENT, Result, publish};

use crate::{core::Core, settle::is_absent};

impl Core {
    pub(crate) fn trash_dir(&self) -> PathBuf {
        self.storage.root().join(RESERVED_SEGMENT).join("trash")
    }

    /// Made at open: on a full disk there would be no room for it.
    pub(crate) fn make_trash_dir(&self) -> Result<PathBuf> {
        let dir = self.trash_dir();
        match fs::create_dir(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(Error::io(error, "cannot be made").at_path(dir))
            }
            _ => Ok(dir),
        }
    }

    /// Deletes what lies in the trash under this number, unless somebody else does just now. Whether it is gone.
    pub(crate) fn delete_trash(&self, id: i64) -> Result<bool> {
        let Some(_alone) = self.flights.try_enter(&trash_flight(id))? else {
            return Ok(false);
        };
        publish::remove_dir(&self.trash_dir().join(id.to_string()))?;
        self.index.deleted(id)?;
        Ok(true)
    }

    /// Deletes all that dead processes left in the trash, and what could not be deleted before.
    pub(crate) fn empty_trash(&self) -> Result<()> {
        // What lies there is mostly in the index too, and is tried once.
        let mut left = BTreeSet::from_iter(self.index.trash()?);
        left.extend(self.strays()?);
        for id in left {
            if let Err(error) = self.delete_trash(id) {
                self.watch().failed(&error, "deleting what was removed");
            }
        }
        Ok(())
    }

    /// Waits until all that lies in the trash now is deleted, by whoever does it.
    pub(crate) fn wait_for_trash(&self) -> Result<()> {
        for id in self.index.trash()? {
            drop(self.flights.enter(&trash_flight(id))?);
            self.delete_trash(id)?;
        }
        Ok(())
    }

    /// What lies in the trash and is not in the index, because that is lost.
    pub(crate) fn strays(&self) -> Result<Vec<i64>> {
        let dir = self.trash_dir();
        let failed = |error| Error::io(error, "cannot be looked into").at_path(&dir);
        let names = match fs::read_dir(&dir) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            names => names.map_err(failed)?,
        };
        let mut strays = Vec::new();
        for found in names {
            let name = found.map_err(failed)?.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.parse().ok())
                && !self.index.is_removing(id)?
            {
                strays.push(id);
            }
        }
        Ok(strays)
    }

    /// Moves the directory of an entry into the trash; whether there was one.
    pub(crate) fn move_to_trash(&self, key: &Key, id: i64) -> Result<bool> {
        let path = self.path(key)?;
        let dir = self.make_trash_dir()?;
        self.storage.stage().retire(&path, &dir.join(id.to_string()))
    }
}

fn trash_flight(id: i64) -> String {
    format!("/trash/{id}")
}
