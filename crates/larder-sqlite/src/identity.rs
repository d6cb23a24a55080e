use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
};

use larder_storage::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, Stat, statat};

/// Which file has the name of a database, told without opening it.
#[derive(Debug)]
pub(crate) struct Identity {
    path: PathBuf,
    /// Looking a name up in an open directory costs a third of looking up its path.
    dir: File,
    name: OsString,
    device: u64,
    number: u64,
}

impl Identity {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let dir = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_owned();
        let unopened = |error| Error::io(error, "cannot open the directory").at_path(dir);
        let dir = File::open(dir).map_err(unopened)?;
        let (device, number) = look(&dir, &name).ok_or_else(|| moved(path))?;
        Ok(Self { path: path.to_owned(), dir, name, device, number })
    }

    /// Refuses to go on where another file has the name now, or none.
    pub(crate) fn check(&self) -> Result<()> {
        match look(&self.dir, &self.name) {
            Some(found) if found == (self.device, self.number) => Ok(()),
            _ => Err(moved(&self.path)),
        }
    }
}

fn look(dir: &File, name: &OsString) -> Option<(u64, u64)> {
    let Stat { st_dev, st_ino, .. } = statat(dir, name, AtFlags::empty()).ok()?;
    Some((st_dev, st_ino))
}

fn moved(path: &Path) -> Error {
    let message =
        "the database was moved or removed while it was open: nothing was written, open it again";
    Error::new(ErrorKind::NotFound, message).at_path(path)
}
