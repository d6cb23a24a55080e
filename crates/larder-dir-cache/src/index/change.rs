//! The steps in the life of an entry that is in the index.

use larder_sqlite::Attempt;
use larder_storage::{Digest, Result};
use rusqlite::{Transaction, params};

use super::{Index, Row};
use crate::tree::Tree;

impl Index {
    /// Records that each `.cache_meta` has what its row says, unless there was an access or a correction since.
    pub(crate) fn written(&self, rows: &[Row]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.accesses().write(|tx| {
            let mut update = tx.prepare_cached(
                "UPDATE entry SET meta_count = ?2
                 WHERE key = ?1 AND last_access_ns = ?3 AND size = ?4 AND files = ?5 AND pinned = ?6",
            )?;
            for row in rows {
                update.execute(params![
                    row.key,
                    row.access_count,
                    row.last_access_ns,
                    row.size,
                    row.files,
                    row.pinned
                ])?;
            }
            Ok(())
        })
    }

    /// Makes a published entry usable; its `.cache_meta` has the count of the row.
    pub(crate) fn publish(&self, row: &Row) -> Result<bool> {
        self.change(|tx| {
            let update = "UPDATE entry SET state = 1, meta_count = access_count WHERE key = ?1";
            Ok(tx.execute(update, [&row.key])?)
        })
    }

    /// Announces an eviction; whether there is such an entry, and it is not pinned.
    pub(crate) fn begin_eviction(&self, key: &str) -> Result<bool> {
        let update = "UPDATE entry SET state = 2 WHERE key = ?1 AND state = 1 AND pinned = 0";
        self.change(|tx| Ok(tx.execute(update, [key])?))
    }

    /// Announces a removal; whether there is such an entry.
    pub(crate) fn begin_removal(&self, key: &str) -> Result<bool> {
        self.change(|tx| {
            Ok(tx.execute("UPDATE entry SET state = 2 WHERE key = ?1 AND state = 1", [key])?)
        })
    }

    /// Takes the announcement of a removal back; the entry lacks its `.cache_meta`.
    pub(crate) fn abandon_removal(&self, key: &str) -> Result<bool> {
        self.change(|tx| {
            let update = "UPDATE entry SET state = 1, meta_count = -1 WHERE key = ?1 AND state = 2";
            Ok(tx.execute(update, [key])?)
        })
    }

    /// Forgets a builder.
    pub(crate) fn unreserve(&self, key: &str) -> Result<bool> {
        self.change(|tx| Ok(tx.execute("DELETE FROM entry WHERE key = ?1 AND state = 3", [key])?))
    }

    /// Forgets an entry whose directory is gone.
    pub(crate) fn delete(&self, key: &str) -> Result<bool> {
        self.change(|tx| Ok(tx.execute("DELETE FROM entry WHERE key = ?1", [key])?))
    }

    /// Forgets an entry whose directory lies in the trash now.
    pub(crate) fn throw_away(&self, key: &str) -> Result<bool> {
        self.change(|tx| {
            let counted = "INSERT OR REPLACE INTO trash SELECT id, size FROM entry WHERE key = ?1";
            tx.execute(counted, [key])?;
            Ok(tx.execute("DELETE FROM entry WHERE key = ?1", [key])?)
        })
    }

    /// The numbers of what lies in the trash, or did.
    pub(crate) fn trash(&self) -> Result<Vec<i64>> {
        self.rows.read(|db| {
            let mut query = db.prepare_cached("SELECT id FROM trash ORDER BY id")?;
            Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
    }

    /// Gives later entries higher numbers than this one.
    pub(crate) fn number_above(&self, id: i64) -> Result<bool> {
        self.change(|tx| {
            tx.execute("INSERT INTO sqlite_sequence SELECT 'entry', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence)", [])?;
            Ok(tx.execute("UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'entry'", [id])?)
        })
    }

    /// Whether an entry of this number is being removed.
    pub(crate) fn is_removing(&self, id: i64) -> Result<bool> {
        self.rows.read(|db| {
            let mut query = db.prepare_cached("SELECT 1 FROM entry WHERE id = ?1 AND state = 2")?;
            Ok(query.exists([id])?)
        })
    }

    /// Forgets what was in the trash and is deleted.
    pub(crate) fn deleted(&self, id: i64) -> Result<bool> {
        self.change(|tx| Ok(tx.execute("DELETE FROM trash WHERE id = ?1", [id])?))
    }

    /// Replaces what was measured, but for the digest of an entry that is written in place; `.cache_meta` is behind then.
    pub(crate) fn correct(&self, key: &str, tree: &Tree) -> Result<bool> {
        let update =
            "UPDATE entry SET size = ?2, files = ?3, meta_count = -1, unranked = 1,
                                       listing = CASE listing WHEN zeroblob(32) THEN listing ELSE ?4 END
                      WHERE key = ?1";
        self.change(|tx| {
            Ok(tx.execute(update, params![key, tree.size, tree.files, tree.listing.as_bytes()])?)
        })
    }

    /// Replaces the digest of what an entry holds.
    pub(crate) fn set_listing(&self, key: &str, listing: &Digest) -> Result<bool> {
        let update = "UPDATE entry SET listing = ?2 WHERE key = ?1 AND state = 1";
        self.change(|tx| Ok(tx.execute(update, params![key, listing.as_bytes()])?))
    }

    /// Keeps an entry from eviction, or no longer; whether there is such an entry.
    pub(crate) fn pin(&self, key: &str, pinned: bool) -> Result<bool> {
        let update = "UPDATE entry SET pinned = ?2, meta_count = CASE pinned WHEN ?2 THEN meta_count ELSE -1 END
                      WHERE key = ?1 AND state = 1";
        self.change(|tx| Ok(tx.execute(update, params![key, pinned])?))
    }

    /// Records the boot in which the files of an entry were last known to be whole.
    pub(crate) fn checked(&self, id: i64, boot: i64) -> Result<bool> {
        let update = "UPDATE entry SET checked_boot = ?2 WHERE id = ?1";
        self.change(|tx| Ok(tx.execute(update, [id, boot])?))
    }

    /// Records the priorities of entries by their numbers, unless they were accessed since.
    pub(crate) fn rank<'a>(&self, ranks: impl Iterator<Item = (&'a Row, f64)>) -> Result<()> {
        self.accesses().write(|tx| {
            let mut update = tx.prepare_cached(
                "UPDATE entry SET priority = ?2, unranked = 0 WHERE id = ?1 AND access_count = ?3 AND size = ?4",
            )?;
            for (row, priority) in ranks {
                update.execute(params![row.id, priority, row.access_count, row.size])?;
            }
            Ok(())
        })
    }

    /// Lifts the floor of priorities to that of a victim.
    pub(crate) fn lift_floor(&self, priority: f64) -> Result<bool> {
        let update = "UPDATE fact SET value = ?1 WHERE name = 'floor' AND value < ?1";
        self.accesses().write(|tx| Ok(tx.execute(update, [priority])?)).map(|lifted| lifted == 1)
    }

    fn change(&self, work: impl FnOnce(&Transaction<'_>) -> Attempt<usize>) -> Result<bool> {
        self.rows.write(work).map(|changed| changed == 1)
    }
}
