//! Which entries go first where bytes are capped.

use larder_sqlite::Attempt;
use larder_storage::{Error, ErrorKind};
use rusqlite::{Connection, OptionalExtension, params};

use super::uses::Used;
use crate::Policy;

/// A bound on the bytes of all keys and stored values together, kept in the database, so that every process keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cap {
    pub(crate) bytes: u64,
    pub(crate) policy: Policy,
}

impl Cap {
    pub(super) fn read(db: &Connection) -> Attempt<Option<Self>> {
        let sql = "SELECT value, (SELECT value FROM meta WHERE name = 'policy') FROM meta WHERE name = 'capacity'";
        let found = db
            .prepare_cached(sql)?
            .query_row([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
            .optional()?;
        let known = |(bytes, policy): (u64, String)| {
            let unknown = || {
                let message =
                    format!("entries are evicted by the unknown policy {policy:?}: upgrade Larder");
                Error::new(ErrorKind::Format, message)
            };
            Ok(Self { bytes, policy: Policy::by_name(&policy).ok_or_else(unknown)? })
        };
        found.map(known).transpose()
    }

    pub(super) fn check_room(self, key: &str, bytes: u64) -> Result<(), Error> {
        if bytes <= self.bytes {
            return Ok(());
        }
        let message = format!(
            "key {:?} and its value take {bytes} bytes, and the whole cache may take {}: raise its capacity",
            key.chars().take(80).collect::<String>(),
            self.bytes
        );
        Err(Error::new(ErrorKind::Full, message))
    }

    /// Makes this the cap of the database, and ranks all entries anew where it was another.
    pub(super) fn set(cap: Option<Self>, tx: &Connection) -> Attempt<()> {
        if Self::read(tx)? == cap {
            return Ok(());
        }
        tx.execute("DELETE FROM ranking", [])?;
        tx.execute("DELETE FROM meta WHERE name IN ('bytes', 'capacity', 'policy')", [])?;
        let Some(Self { bytes, policy }) = cap else { return Ok(()) };
        tx.execute(
            "INSERT INTO ranking (entry, bytes, rank, used_at)
             SELECT id, length(CAST(key AS BLOB)) + length(CAST(value AS BLOB)),
                 CASE WHEN ?1 THEN 0 ELSE written_at END, written_at FROM entry",
            [policy == Policy::LeastFrequentlyUsed],
        )?;
        let mut insert = tx.prepare("INSERT INTO meta (name, value) VALUES (?1, ?2)")?;
        insert.execute(params!["capacity", bytes])?;
        insert.execute(params!["policy", policy.name()])?;
        let total: u64 =
            tx.query_row("SELECT ifnull(sum(bytes), 0) FROM ranking", [], |row| row.get(0))?;
        insert.execute(params!["bytes", total])?;
        Ok(())
    }
}

/// The entries in the order in which they go, and how many bytes they have together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranking {
    pub(super) cap: Cap,
    bytes: u64,
    /// The highest rank: what is set comes last, whatever the clock says.
    last: i64,
}

impl Ranking {
    pub(super) fn new(db: &Connection, cap: Cap) -> Attempt<Self> {
        let sql = "SELECT value FROM meta WHERE name = 'bytes'";
        let bytes = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        let last: Option<i64> =
            db.prepare_cached("SELECT max(rank) FROM ranking")?.query_row([], |row| row.get(0))?;
        Ok(Self { cap, bytes, last: last.unwrap_or(0) })
    }

    pub(super) fn is_over(&self) -> bool {
        self.bytes > self.cap.bytes
    }

    pub(super) fn stored(&mut self, db: &Connection, id: i64, bytes: u64, now: i64) -> Attempt<()> {
        self.removed(db, id)?;
        let (rank, used_at) = match self.cap.policy {
            Policy::LeastFrequentlyUsed => (0, now),
            _ => {
                self.last = self.last.max(now);
                (self.last, self.last)
            }
        };
        db.prepare_cached(
            "INSERT INTO ranking (entry, bytes, rank, used_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![id, bytes, rank, used_at])?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    pub(super) fn removed(&mut self, db: &Connection, id: i64) -> Attempt<()> {
        let mut delete =
            db.prepare_cached("DELETE FROM ranking WHERE entry = ?1 RETURNING bytes")?;
        let freed: Option<u64> = delete.query_row([id], |row| row.get(0)).optional()?;
        self.bytes = self.bytes.saturating_sub(freed.unwrap_or(0));
        Ok(())
    }

    /// Ranks entries that were used, where there is still a cap.
    pub(super) fn tell(db: &Connection, used: &[(Box<str>, Used)]) -> Attempt<()> {
        let Some(cap) = Cap::read(db)? else { return Ok(()) };
        let ranking = Self::new(db, cap)?;
        used.iter().try_for_each(|(key, used)| ranking.used(db, key, *used))
    }

    /// Ranks an entry that was used.
    pub(super) fn used(&self, db: &Connection, key: &str, used: Used) -> Attempt<()> {
        let sql = match self.cap.policy {
            Policy::Oldest => return Ok(()),
            Policy::LeastRecentlyUsed => {
                "UPDATE ranking SET rank = max(rank, ?3), used_at = max(used_at, ?3)
                 WHERE ?2 > 0 AND entry = (SELECT id FROM entry WHERE key = ?1)"
            }
            Policy::LeastFrequentlyUsed => {
                "UPDATE ranking SET rank = rank + ?2, used_at = max(used_at, ?3)
                 WHERE entry = (SELECT id FROM entry WHERE key = ?1)"
            }
        };
        db.prepare_cached(sql)?.execute(params![key, used.count, used.at])?;
        Ok(())
    }

    pub(super) fn save(&self, db: &Connection) -> Attempt<()> {
        db.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'bytes'")?
            .execute([self.bytes])?;
        Ok(())
    }
}

/// The entry that goes next, and its key.
pub(super) fn victim(db: &Connection, kept: i64) -> Attempt<Option<(i64, String)>> {
    let mut first = db.prepare_cached(
        "SELECT entry, key FROM ranking JOIN entry ON entry.id = ranking.entry
         WHERE entry <> ?1 ORDER BY rank, used_at, entry LIMIT 1",
    )?;
    Ok(first.query_row([kept], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}
