//! Who may write how much: entries do not nest, and what is reserved fits the limit.

use larder_sqlite::Attempt;
use larder_storage::{Error, ErrorKind, Key, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{COLUMNS, Index, Row};

/// Whether there was room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Taken,
    /// How many bytes are missing.
    Short(u64),
}

impl Index {
    /// Adds an entry, where all there is, and it, fit into `limit`; `Invalid` where an entry lies above or below it.
    pub(crate) fn insert(&self, key: &Key, row: &Row, limit: Option<u64>) -> Result<Room> {
        // What is being built is not there after a power cut in any case.
        self.accesses().write(|tx| {
            check_free(tx, key)?;
            let room = room_for(tx, row.size, limit)?;
            if room == Room::Taken {
                insert(tx, row)?;
            }
            Ok(room)
        })
    }

    /// Records what the builder of a reserved entry has written, where that fits into `limit`.
    pub(crate) fn seal(&self, row: &Row, limit: Option<u64>) -> Result<Room> {
        self.rows.write(|tx| {
            let reserved = "SELECT size FROM entry WHERE key = ?1";
            let reserved: u64 = tx.query_row(reserved, [&row.key], |found| found.get(0))?;
            let room = room_for(tx, row.size.saturating_sub(reserved), limit)?;
            if room == Room::Taken {
                tx.execute(
                    "UPDATE entry SET state = ?2, size = ?3, files = ?4, listing = ?5, built_at_ns = ?6,
                                      last_access_ns = ?6, build_cost_ns = ?7, expires_at_ns = ?8 WHERE key = ?1",
                    params![
                        row.key,
                        row.state as i64,
                        row.size,
                        row.files,
                        row.listing.as_bytes(),
                        row.built_at_ns,
                        row.build_cost_ns,
                        row.expires_at_ns
                    ],
                )?;
            }
            Ok(room)
        })
    }
}

fn insert(tx: &Transaction<'_>, row: &Row) -> Attempt<()> {
    let places = "NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14";
    let mut insert =
        tx.prepare_cached(&format!("INSERT INTO entry ({COLUMNS}) VALUES ({places})"))?;
    insert.execute(params![
        row.key,
        row.state as i64,
        row.size,
        row.files,
        row.listing.as_bytes(),
        row.built_at_ns,
        row.last_access_ns,
        row.access_count,
        row.meta_count,
        row.build_cost_ns,
        row.pinned,
        row.expires_at_ns,
        row.priority,
        row.checked_boot,
    ])?;
    Ok(())
}

fn room_for(db: &Connection, bytes: u64, limit: Option<u64>) -> Attempt<Room> {
    let Some(limit) = limit else { return Ok(Room::Taken) };
    let mut used = db.prepare_cached("SELECT value FROM fact WHERE name = 'used'")?;
    let used: u64 = used.query_row([], |row| row.get(0))?;
    Ok(match used.saturating_add(bytes).saturating_sub(limit) {
        0 => Room::Taken,
        // What lies above already is not this one's to free, where it asks for nothing more.
        _ if bytes == 0 => Room::Taken,
        missing => Room::Short(missing),
    })
}

fn check_free(db: &Connection, key: &Key) -> Attempt<()> {
    // Below `a` lie the keys from `a/` on and before `a0`, because `0` follows `/`.
    let mut below = db.prepare_cached(
        "SELECT key FROM entry WHERE key > ?1 || '/' AND key < ?1 || '0' LIMIT 1",
    )?;
    let below: Option<String> = below.query_row([key.as_str()], |row| row.get(0)).optional()?;
    if let Some(below) = below {
        return Err(nested(key, &format!("the entry {below:?} lies below this key")).into());
    }
    let mut above = db.prepare_cached("SELECT 1 FROM entry WHERE key = ?1")?;
    if above.exists([key.as_str()])? {
        // Another program has removed its directory and made it again meanwhile.
        let message = "came into being while it was to be built: ask for it again";
        return Err(Error::new(ErrorKind::Conflict, message).at_key(key).into());
    }
    let mut parent = key.parent();
    while let Some(key_above) = parent {
        if above.exists([key_above.as_str()])? {
            let what = format!("this key lies inside the entry {:?}", key_above.as_str());
            return Err(nested(key, &what).into());
        }
        parent = key_above.parent();
    }
    Ok(())
}

fn nested(key: &Key, what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{what}: entries do not nest, choose another key"))
        .at_key(key)
}
