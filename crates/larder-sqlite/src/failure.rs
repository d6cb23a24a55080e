use std::path::Path;

use larder_storage::{Error, ErrorKind};
use rusqlite::{
    ErrorCode,
    ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_SHORT_READ, SQLITE_READONLY},
};
use rustix::fs::{Access, access};

/// The result of work inside [`Database::read`](crate::Database::read) or [`write`](crate::Database::write).
pub type Attempt<T> = Result<T, Failure>;

/// Why work on a database stopped: SQLite failed, or the work itself found a reason. Both convert with `?`.
#[derive(Debug)]
pub enum Failure {
    /// SQLite failed; becomes an [`Error`] that names the database.
    Sqlite(rusqlite::Error),
    /// The work failed; passed on as it is.
    Work(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Work(error)
    }
}

impl Failure {
    /// The failure as the workspace's error, at the database `path`.
    pub(crate) fn at(self, path: &Path) -> Error {
        match self {
            Self::Sqlite(error) => explain(error, path),
            Self::Work(error) => error,
        }
    }
}

const NO_ROOM: &str = "the disk is full: free some space";

const DAMAGED: &str = "the database is damaged: nothing was changed; `repair` moves it aside";

/// What an error of SQLite means to somebody who did not know that there was a database.
fn explain(error: rusqlite::Error, path: &Path) -> Error {
    let (kind, message) = match error.sqlite_error_code() {
        None if is_odd_value(&error) => {
            (ErrorKind::Corrupt, "the database holds a value that cannot be: `verify` tells which")
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (ErrorKind::Corrupt, DAMAGED),
        Some(ErrorCode::SystemIoFailure) if is_cut_short(&error) => (ErrorKind::Corrupt, DAMAGED),
        // Statements are part of the program, so one that makes no sense has met tables that are not its own.
        Some(ErrorCode::Unknown) => (ErrorKind::Corrupt, DAMAGED),
        None if matches!(error, rusqlite::Error::SqlInputError { .. }) => {
            (ErrorKind::Corrupt, DAMAGED)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::Locked, "another process has held the database for a minute: try again")
        }
        Some(ErrorCode::SystemIoFailure) if has_no_room(&error) => (ErrorKind::Full, NO_ROOM),
        Some(ErrorCode::DiskFull) => (ErrorKind::Full, NO_ROOM),
        Some(ErrorCode::ReadOnly) if is_to_be_read_only(&error, path) => (
            ErrorKind::Format,
            "its header says that a newer SQLite wrote it, so it may only be read: upgrade Larder",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (ErrorKind::Io, "the database may not be written: check the permissions")
        }
        Some(ErrorCode::CannotOpen) => {
            (ErrorKind::Io, "the database cannot be opened: check the path and the permissions")
        }
        Some(ErrorCode::SystemIoFailure) => {
            (ErrorKind::Io, "reading or writing the database failed: is the disk full?")
        }
        Some(ErrorCode::TooBig) => (ErrorKind::Invalid, "a value is too large for the database"),
        _ => (ErrorKind::Backend, "the database failed"),
    };
    Error::new(kind, message).at_path(path).with_source(error)
}

/// Whether the file ended before a page that belongs to it, which the disk that read it cannot help.
fn is_cut_short(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHORT_READ)
}

/// Whether the memory that processes share could not be made, which is a file.
fn has_no_room(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE)
}

/// Whether it is the database itself that forbids to write to it, and not who owns the file.
fn is_to_be_read_only(error: &rusqlite::Error, path: &Path) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_READONLY)
        && access(path, Access::WRITE_OK).is_ok()
}

/// Whether a column held another type, length or range than was ever written, or a row is gone that is always there.
fn is_odd_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as Sqlite;
    matches!(
        error,
        Sqlite::FromSqlConversionFailure(..)
            | Sqlite::IntegralValueOutOfRange(..)
            | Sqlite::InvalidColumnType(..)
            | Sqlite::Utf8Error(..)
            | Sqlite::QueryReturnedNoRows
    )
}
