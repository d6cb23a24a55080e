use std::{
    io,
    path::{Path, PathBuf},
};

use larder_storage::{Durability, Error, ErrorKind, Result, lock::FileLock, publish, time};
use rusqlite::OpenFlags;

use crate::{
    Failure, Schema,
    open::{self, beside},
};

/// Moves a damaged database aside, together with its write-ahead log, and says where to. `None` where the database is
/// sound or was never made.
///
/// The next [`Database::open`](crate::Database::open) makes a new one. Nothing is deleted: the damaged files lie in
/// `quarantine/` beside the database, under the time in nanoseconds.
///
/// # Errors
///
/// `Locked` where anybody has the database open; `Format` where it is not ours, and then it stays;
/// `Io` where it cannot be read or moved.
pub fn repair(path: &Path, schema: &Schema) -> Result<Option<PathBuf>> {
    let path = &open::absolute(path)?;
    if !path.exists() {
        return Ok(None);
    }
    let Some(_alone) = FileLock::try_exclusive(&beside(path, "lock"))? else {
        return Err(Error::new(ErrorKind::Locked, "is in use: stop what has it open, then repair")
            .at_path(path));
    };
    match examine(path, schema).map_err(|failure| failure.at(path)) {
        Ok(true) => Ok(None),
        Ok(false) => quarantine(path).map(Some),
        Err(error) if error.kind() == ErrorKind::Corrupt => quarantine(path).map(Some),
        Err(error) => Err(error),
    }
}

/// Whether the database is sound.
fn examine(path: &Path, schema: &Schema) -> Result<bool, Failure> {
    let db = open::connect(path, OpenFlags::empty(), Durability::Process)?;
    if open::is_blank(&db)? {
        return Ok(!open::was_created(&beside(path, "init")));
    }
    let sound = open::integrity(&db)?.is_none();
    open::check(&db, path, schema)?;
    Ok(sound)
}

fn quarantine(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let target = path.with_file_name("quarantine").join(format!("{}-{name}", time::now_ns()));
    publish::set_aside(path, &target)?;
    for suffix in ["-wal", "-shm"] {
        let (from, to) = (append(path, suffix), append(&target, suffix));
        match publish::set_aside(&from, &to) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    forget(path)?;
    Ok(target)
}

fn append(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Takes back the mark that says that the database was created.
fn forget(path: &Path) -> Result<()> {
    let mark = beside(path, "init");
    match std::fs::remove_file(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(error, "cannot be removed").at_path(&mark))
        }
        _ => Ok(()),
    }
}
