//! Rows on their way into the index.

use std::collections::BTreeMap;

use larder_sqlite::Attempt;
use larder_storage::Key;
use rusqlite::{Connection, params};

use super::{Index, insert_shard};
use crate::shard::{RowEntry, Shard};
use larder_storage::Result;

/// How many rows are brought into the order of the tree at once, in some 80 MB.
const RUN: usize = 1 << 20;

/// A row as it is inserted.
pub(crate) struct Entry {
    pub(super) digest: [u8; 32],
    pub(crate) row: u64,
    pub(crate) crc: Option<u32>,
    pub(crate) offset: Option<u64>,
}

/// The rows of a shard in the order of the tree that they go into.
pub(crate) fn sorted(rows: &[RowEntry]) -> Vec<Entry> {
    let entry = |&RowEntry { ref key, row, crc, offset }: &RowEntry| Entry {
        digest: *key.digest().as_bytes(),
        row,
        crc,
        offset,
    };
    let mut entries: Vec<Entry> = rows.iter().map(entry).collect();
    entries.sort_unstable_by_key(|entry| (entry.first(), entry.digest, entry.row));
    entries
}

impl Entry {
    /// The first bytes as a number: mostly they tell which entry comes first, and numbers are quick to compare.
    fn first(&self) -> u64 {
        self.digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// Adds rows, each with the id of its shard; tells `is_taken` of each shard's row whose key another one holds.
pub(super) fn insert_entries(
    tx: &Connection,
    entries: impl IntoIterator<Item = (i64, Entry)>,
    mut is_taken: impl FnMut(i64),
) -> Attempt<()> {
    let mut add =
        tx.prepare_cached("INSERT OR IGNORE INTO embedding VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (shard, Entry { digest, row, crc, offset }) in entries {
        if add.execute(params![&digest[..], shard, row, crc, offset])? == 0 {
            is_taken(shard);
        }
    }
    Ok(())
}

/// An index that is made anew, in which each key belongs to the first shard that has it.
pub(crate) struct Rebuild<'tx> {
    tx: &'tx Connection,
    paths: BTreeMap<i64, Key>,
    pending: Vec<(i64, Entry)>,
    /// How many rows of a shard others hold.
    taken: BTreeMap<i64, u64>,
}

impl Index {
    /// Replaces the whole index, in one transaction, by what `fill` adds; returns what it returns, and how many rows of
    /// which shards are left out because an earlier one holds their key.
    pub(crate) fn replace<T>(
        &self,
        fill: impl FnOnce(&mut Rebuild<'_>) -> Attempt<T>,
    ) -> Result<(T, Vec<(Key, u64)>)> {
        self.forget_known();
        self.db.write(|tx| {
            tx.execute("DELETE FROM embedding", [])?;
            tx.execute("DELETE FROM shard", [])?;
            let (paths, pending, taken) = Default::default();
            let mut rebuild = Rebuild { tx, paths, pending, taken };
            let filled = fill(&mut rebuild)?;
            rebuild.insert()?;
            let Rebuild { mut paths, taken, .. } = rebuild;
            let taken =
                taken.into_iter().filter_map(|(id, count)| Some((paths.remove(&id)?, count)));
            Ok((filled, taken.collect()))
        })
    }
}

impl Rebuild<'_> {
    pub(crate) fn add(&mut self, shard: &Shard, rows: Vec<Entry>) -> Attempt<()> {
        let id = insert_shard(self.tx, &shard.info(rows.len()))?;
        self.paths.insert(id, shard.path().clone());
        self.pending.extend(rows.into_iter().map(|row| (id, row)));
        if self.pending.len() >= RUN { self.insert() } else { Ok(()) }
    }

    /// Appended in order the tree grows without being split, and stays as small as it can be.
    fn insert(&mut self) -> Attempt<()> {
        // Each shard's rows are sorted already, which this sort makes use of.
        self.pending.sort_by_key(|(shard, row)| (row.first(), row.digest, *shard, row.row));
        let taken = &mut self.taken;
        insert_entries(self.tx, self.pending.drain(..), |id| *taken.entry(id).or_default() += 1)
    }
}
