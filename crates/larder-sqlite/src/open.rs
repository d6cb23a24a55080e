//! The one way in: what is set on each connection, and what is checked before anything else is done.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Write,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{self, Path, PathBuf},
    time::Duration,
};

use larder_storage::{Durability, Error, ErrorKind, Result, lock::FileLock};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::{Failure, Schema, integrity, readers::Readers};

/// How long a writer waits for others. Each of them holds the database for milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much memory each connection may hold pages in: enough that a large transaction writes none before it commits.
const CACHE_KIB: i64 = 65_536;

/// How much of a file is mapped, which is as much as SQLite can: what lies beyond is read.
const MAPPED_BYTES: u32 = 0x7fff_0000;

/// How long the write-ahead log stays after a large transaction was taken over from it, in bytes.
pub(crate) const LOG_BYTES: u64 = 16 << 20;

/// The file `<path><suffix>`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The same file whatever the working directory becomes, because connections are opened later, too; and by whatever
/// link it is named, because its locks lie beside it.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    let absolute = if is_link { fs::canonicalize(path) } else { path::absolute(path) };
    absolute.map_err(|error| Error::io(error, "cannot tell where the database lies").at_path(path))
}

/// Opens the connection that writes. One process at a time gets here, because switching a new file to the
/// write-ahead log fails at once, without waiting, where two do it.
pub(crate) fn first(path: &Path, schema: &Schema, durability: Durability) -> Result<Connection> {
    let mark = beside(path, ".init");
    let _alone = FileLock::exclusive(&mark)?;
    let existed = path.exists();
    if !existed && has_content(&beside(path, "-wal")) {
        return Err(lost(path, "the database is gone and only its write-ahead log is there"));
    }
    if !existed && !schema.derived && has_content(&mark) {
        return Err(lost(path, "the database is gone"));
    }
    let run = || -> Result<Connection, Failure> {
        let mut db = connect(path, OpenFlags::SQLITE_OPEN_CREATE, durability)?;
        if is_blank(&db)? {
            if existed && has_content(&mark) {
                return Err(lost(path, "the database was emptied by something else").into());
            }
            create(&mut db, schema)?;
        }
        check(&db, path, schema)?;
        use_log(&db)?;
        // Also where a kill came between the tables and the mark.
        if !has_content(&mark) {
            mark_created(&mark, durability)?;
        }
        Ok(db)
    };
    run().map_err(|failure| match failure {
        Failure::Sqlite(error) if is_foreign(&error) && !has_content(&mark) => foreign(path),
        failure => failure.at(path),
    })
}

/// Opens a further connection, that only reads; it maps what can be derived again.
pub(crate) fn reader(
    path: &Path,
    durability: Durability,
    is_derived: bool,
) -> rusqlite::Result<Connection> {
    let db = connect(path, OpenFlags::empty(), durability)?;
    db.pragma_update(None, "query_only", true)?;
    if is_derived {
        map(&db)?;
    }
    Ok(db)
}

/// Opens the connections of a database in a directory that may not be written, where SQLite can have neither locks nor
/// a log: it is told that nobody writes.
pub(crate) fn first_to_read(path: &Path, schema: &Schema) -> Result<Readers> {
    if has_content(&beside(path, "-wal")) {
        let message = "was not closed by who wrote to it last, and its directory may not be written: open it once where it may";
        return Err(Error::new(ErrorKind::Io, message).at_path(path));
    }
    let (uri, is_derived) = (immutable(path), schema.derived);
    let readers = Readers::new(move || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let db = Connection::open_with_flags(&uri, flags)?;
        settle(&db)?;
        if is_derived {
            map(&db)?;
        }
        Ok(db)
    });
    readers.read(|db| check(db, path, schema)).map_err(|failure| failure.at(path))?;
    Ok(readers)
}

/// The path as a URI in which it means what it is.
fn immutable(path: &Path) -> OsString {
    let mut uri = b"file:".to_vec();
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'%' | b'?' | b'#') {
            uri.extend(format!("%{byte:02x}").bytes());
        } else {
            uri.push(byte);
        }
    }
    uri.extend(b"?immutable=1");
    OsString::from_vec(uri)
}

pub(crate) fn connect(
    path: &Path,
    extra: OpenFlags,
    durability: Durability,
) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags | extra)?;
    settle(&db)?;
    let synchronous = match durability {
        Durability::Scratch => "OFF",
        Durability::Process => "NORMAL",
        Durability::Power => "FULL",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    Ok(db)
}

/// Reads the file where the kernel has it, instead of a copy for each connection: to find a row in a large table takes
/// half the time then, and a connection that reads holds next to no memory of its own.
fn map(db: &Connection) -> rusqlite::Result<()> {
    db.query_row(&format!("PRAGMA mmap_size = {MAPPED_BYTES}"), [], |_| Ok(()))
}

/// What holds for each connection.
fn settle(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(PATIENCE)?;
    db.set_prepared_statement_cache_capacity(64);
    // A negative number counts KiB.
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "trusted_schema", false)
}

pub(crate) fn is_blank(db: &Connection) -> rusqlite::Result<bool> {
    Ok(number(db, "user_version")? == 0
        && number(db, "application_id")? == 0
        && db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))? == 0)
}

pub(crate) fn number(db: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0))
}

fn create(db: &mut Connection, schema: &Schema) -> rusqlite::Result<()> {
    // Space can be given back later only if the file is laid out for it from birth.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(schema.create)?;
    transaction.pragma_update(None, "application_id", schema.application_id)?;
    transaction.pragma_update(None, "user_version", schema.version)?;
    transaction.commit()
}

/// Switches to the write-ahead log, which a copy of a database may not have.
fn use_log(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")
}

/// Whether it is a file of another kind.
pub(crate) fn is_foreign(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::NotADatabase)
}

pub(crate) fn foreign(path: &Path) -> Error {
    let message = "this file is no database of Larder: choose another path";
    Error::new(ErrorKind::Format, message).at_path(path)
}

/// Whether it is a database of this kind and version, with its tables. Nothing may be written to it before that.
pub(crate) fn check(db: &Connection, path: &Path, schema: &Schema) -> Result<(), Failure> {
    let (owner, version) = (number(db, "application_id")?, number(db, "user_version")?);
    let known = i64::from(schema.version);
    let wrong = |message: String| Err(Error::new(ErrorKind::Format, message).at_path(path).into());
    if owner != i64::from(schema.application_id) {
        return wrong(
            "this database belongs to another program, or to another store: choose another path"
                .to_owned(),
        );
    }
    if version != known {
        let what = if version > known {
            "upgrade Larder"
        } else {
            "use the version of Larder that wrote it"
        };
        return wrong(format!(
            "this database has format {version} and this Larder knows {known}: {what}"
        ));
    }
    match integrity::obstacle(db, schema)? {
        Some(finding) => Err(integrity::damaged(path, finding).into()),
        None => Ok(()),
    }
}

fn lost(path: &Path, what: &str) -> Error {
    let message = format!("{what}: restore it, or let `repair` move what is left aside");
    Error::new(ErrorKind::Corrupt, message).at_path(path)
}

/// Whether there is such a file and something in it: of the mark it says that the tables were made once, so that a
/// database without any has lost them.
pub(crate) fn has_content(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.len() > 0)
}

fn mark_created(mark: &Path, durability: Durability) -> Result<()> {
    let write = || {
        let mut file = File::options().write(true).open(mark)?;
        file.write_all(b"created\n")?;
        if durability.syncs() { file.sync_all() } else { Ok(()) }
    };
    write().map_err(|error| Error::io(error, "cannot mark the database as created").at_path(mark))
}
