//! Embeddings as BLOBs of a SQLite table.

use std::path::Path;

use larder_embedding_shards::WindowKey;
use rusqlite::Connection;

use super::data::Data;
use crate::Outcome;

/// With a write-ahead log, and all else as it is by default.
pub(super) struct Blobs(Connection);

impl Blobs {
    pub(super) fn fill(path: &Path, data: &Data, keys: &[WindowKey]) -> Outcome {
        let mut db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.execute_batch("CREATE TABLE embedding (key BLOB PRIMARY KEY, value BLOB NOT NULL)")?;
        let transaction = db.transaction()?;
        let mut insert = transaction.prepare("INSERT INTO embedding VALUES (?1, ?2)")?;
        for (row, key) in keys.iter().enumerate() {
            insert.execute((&key.to_bytes()[..], data.row(row)))?;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    pub(super) fn open(path: &Path) -> Outcome<Self> {
        Ok(Self(Connection::open(path)?))
    }

    /// With one read transaction for all that is read.
    pub(super) fn open_transaction(path: &Path) -> Outcome<Self> {
        let blobs = Self::open(path)?;
        blobs.0.execute_batch("BEGIN")?;
        Ok(blobs)
    }

    pub(super) fn read(&self, key: &WindowKey) -> Outcome<Vec<u8>> {
        let mut select = self.0.prepare_cached("SELECT value FROM embedding WHERE key = ?1")?;
        Ok(select.query_row([&key.to_bytes()[..]], |row| row.get(0))?)
    }
}
