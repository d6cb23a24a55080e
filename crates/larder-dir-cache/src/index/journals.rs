//! Which journals of accesses there are, and how far each is counted.

use std::collections::HashMap;

use larder_sqlite::Attempt;
use larder_storage::Result;
use rusqlite::{OptionalExtension, Transaction, params};

use super::Index;
use crate::journal::Event;

/// What a journal says of one entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) accesses: u64,
    pub(crate) last_ns: i64,
}

impl Use {
    pub(crate) fn of(event: Event, at_ns: i64) -> Self {
        Self { accesses: u64::from(event == Event::Access), last_ns: at_ns }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.accesses += other.accesses;
        self.last_ns = self.last_ns.max(other.last_ns);
    }
}

impl Index {
    /// The journals and how many bytes of each are counted.
    pub(crate) fn journals(&self) -> Result<Vec<(String, u64)>> {
        self.rows.read(|db| {
            let mut query = db.prepare_cached("SELECT name, folded FROM journal")?;
            let parse = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            Ok(query.query_map([], parse)?.collect::<Result<_, _>>()?)
        })
    }

    pub(crate) fn has_journal(&self, name: &str) -> Result<bool> {
        let query = "SELECT 1 FROM journal WHERE name = ?1";
        self.rows.read(|db| Ok(db.prepare_cached(query)?.exists([name])?))
    }

    pub(crate) fn add_journal(&self, name: &str) -> Result<()> {
        let insert = "INSERT INTO journal VALUES (?1, 0)";
        self.accesses().write(|tx| Ok(tx.execute(insert, [name]).map(|_| ())?))
    }

    pub(crate) fn drop_journal(&self, name: &str) -> Result<()> {
        let delete = "DELETE FROM journal WHERE name = ?1";
        self.accesses().write(|tx| Ok(tx.execute(delete, [name]).map(|_| ())?))
    }

    /// Counts uses that are in no journal.
    pub(crate) fn count(&self, uses: &HashMap<i64, Use>) -> Result<()> {
        self.accesses().write(|tx| count(tx, uses))
    }

    /// Counts what comes after what is counted already of a journal, each use once: `read` gives the uses from a place in
    /// it on, and where they end.
    pub(crate) fn fold(
        &self,
        name: &str,
        read: impl FnOnce(u64) -> Result<(HashMap<i64, Use>, u64)>,
    ) -> Result<()> {
        self.accesses().write(|tx| {
            let folded = "SELECT folded FROM journal WHERE name = ?1";
            let folded = tx.prepare_cached(folded)?.query_row([name], |row| row.get(0));
            // Another one has counted it to its end.
            let Some(folded) = folded.optional()? else { return Ok(()) };
            let (uses, end) = read(folded)?;
            count(tx, &uses)?;
            let update = "UPDATE journal SET folded = ?2 WHERE name = ?1";
            tx.prepare_cached(update)?.execute(params![name, end])?;
            Ok(())
        })
    }
}

fn count(tx: &Transaction<'_>, uses: &HashMap<i64, Use>) -> Attempt<()> {
    let mut update = tx.prepare_cached(
        "UPDATE entry SET access_count = access_count + ?2, last_access_ns = max(last_access_ns, ?3), meta_count = -1,
                          unranked = unranked OR ?2 > 0
         WHERE id = ?1",
    )?;
    for (id, used) in uses {
        update.execute(params![id, used.accesses, used.last_ns])?;
    }
    Ok(())
}
