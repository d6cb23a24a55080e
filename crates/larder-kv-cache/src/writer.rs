use larder_sqlite::Attempt;
use larder_storage::{Error, ErrorKind, time};
use rusqlite::{
    CachedStatement, Transaction, params,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    pending::Change,
    table::{JSON_TEXT, checksum},
};

/// How many cleared rows are deleted for each one that is written: more than one, so that they all go in the end.
const SWEEP: usize = 8;

/// Forgets every live entry, by one small write.
pub(crate) fn clear(tx: &Transaction<'_>) -> Attempt<()> {
    tx.execute(
        "UPDATE meta SET value = max(value, (SELECT coalesce(max(id), 0) FROM entry)) WHERE name = 'cleared_through'",
        [],
    )?;
    Ok(())
}

/// Changes entries within one transaction.
pub(crate) struct Writer<'tx> {
    tx: &'tx Transaction<'tx>,
    upsert: CachedStatement<'tx>,
    /// Entries with this id or a lower one are cleared.
    cleared_through: i64,
    /// Whether rows of cleared entries may still be there.
    has_cleared: bool,
    /// The highest id that was given to an entry that is live or cleared.
    last_id: i64,
    /// Nanoseconds since 1970, UTC.
    now: i64,
}

impl<'tx> Writer<'tx> {
    pub(crate) fn begin(tx: &'tx Transaction<'tx>) -> Attempt<Self> {
        let (cleared_through, lowest, highest): (i64, Option<i64>, Option<i64>) = tx
            .prepare_cached(
                "SELECT value, (SELECT min(id) FROM entry), (SELECT max(id) FROM entry)
                 FROM meta WHERE name = 'cleared_through'",
            )?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let has_cleared = lowest.is_some_and(|id| id <= cleared_through);
        let upsert = tx.prepare_cached(
            "INSERT INTO entry (id, key, encoding, crc32c, written_at, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (key) DO UPDATE SET
                 encoding = excluded.encoding, crc32c = excluded.crc32c, written_at = excluded.written_at,
                 expires_at = NULL, accessed_at = NULL, uses = 0, value = excluded.value",
        )?;
        let last_id = highest.unwrap_or(0).max(cleared_through);
        Ok(Self { tx, upsert, cleared_through, has_cleared, last_id, now: time::now_ns() })
    }

    /// Stores JSON text. A live key keeps its id, and so its place.
    pub(crate) fn set(&mut self, key: &str, json: &[u8]) -> Attempt<()> {
        if self.has_cleared {
            self.sweep(key)?;
        }
        let spent = || {
            let message = "the ids are used up, which only damage does: move the database aside";
            Error::new(ErrorKind::Corrupt, message).at_path(self.tx.path().unwrap_or_default())
        };
        self.last_id = self.last_id.checked_add(1).ok_or_else(spent)?;
        let crc = checksum(key, json);
        self.upsert.execute(params![self.last_id, key, JSON_TEXT, crc, self.now, Text(json)])?;
        Ok(())
    }

    /// Deletes the cleared row of `key`, so that the key begins anew, and a few others, the oldest first.
    fn sweep(&mut self, key: &str) -> Attempt<()> {
        self.tx
            .prepare_cached("DELETE FROM entry WHERE key = ?1 AND id <= ?2")?
            .execute(params![key, self.cleared_through])?;
        let swept = self
            .tx
            .prepare_cached("DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE id <= ?1 ORDER BY id LIMIT ?2)")?
            .execute(params![self.cleared_through, SWEEP])?;
        self.has_cleared = swept == SWEEP;
        Ok(())
    }

    /// Deletes an entry, and tells whether it was live.
    pub(crate) fn remove(&mut self, key: &str) -> Attempt<bool> {
        let mut delete = self.tx.prepare_cached("DELETE FROM entry WHERE key = ?1 AND id > ?2")?;
        Ok(delete.execute(params![key, self.cleared_through])? > 0)
    }

    pub(crate) fn apply(&mut self, key: &str, change: &Change) -> Attempt<()> {
        match change {
            Change::Set(json) => self.set(key, json),
            Change::Remove => self.remove(key).map(drop),
            Change::SetAnew(json) => {
                self.remove(key)?;
                self.set(key, json)
            }
        }
    }
}

/// Bytes that are known to be UTF-8, stored as text so that every SQLite tool shows them.
struct Text<'a>(&'a [u8]);

impl rusqlite::ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}
