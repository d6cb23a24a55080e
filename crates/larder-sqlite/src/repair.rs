use std::{
    io,
    path::{Path, PathBuf},
};

use larder_storage::{Durability, Error, ErrorKind, Result, lock::FileLock, publish, time};
use rusqlite::OpenFlags;

use crate::{
    Failure, Schema, integrity,
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
    let left = |suffix| open::has_content(&beside(path, suffix));
    if !path.exists() && !left("-wal") && !left(".init") {
        return Ok(None);
    }
    let Some(_alone) = FileLock::try_exclusive(&beside(path, ".lock"))? else {
        return Err(Error::new(ErrorKind::Locked, "is in use: stop what has it open, then repair")
            .at_path(path));
    };
    if !path.exists() {
        // A kill came between the database and its log, or somebody took the database.
        let log_is_left = left("-wal");
        return quarantine(path).map(|target| log_is_left.then_some(target));
    }
    let examined = examine(path, schema).map_err(|failure| match failure {
        Failure::Sqlite(error) if open::is_foreign(&error) && !left(".init") => open::foreign(path),
        failure => failure.at(path),
    });
    match examined {
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
        return Ok(!open::has_content(&beside(path, ".init")));
    }
    open::check(&db, path, schema)?;
    Ok(integrity::finding(&db, schema)?.is_none())
}

/// The database goes first: where a kill leaves its log behind, the next open finds that and says so.
fn quarantine(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let target = path.with_file_name("quarantine").join(format!("{}-{name}", time::now_ns()));
    for suffix in ["", "-wal", "-shm"] {
        match publish::set_aside(&beside(path, suffix), &beside(&target, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    forget(path)?;
    Ok(target)
}

/// Takes back the mark that says that the tables were made. It is also the lock of those who open, and none can be at
/// work now: they hold the database's lock as well.
fn forget(path: &Path) -> Result<()> {
    let mark = beside(path, ".init");
    match std::fs::remove_file(&mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(error, "cannot be removed").at_path(&mark))
        }
        _ => Ok(()),
    }
}
