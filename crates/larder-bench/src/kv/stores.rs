//! The contenders that are written in Rust. What only holds bytes gets JSON.

use std::{collections::HashMap, path::Path};

use fjall::{Keyspace, KeyspaceCreateOptions};
use larder_kv_cache::{KvCache, Options};
use larder_storage::Bytes;
use redb::{Durability, ReadableDatabase, TableDefinition};
use rusqlite::{Connection, OptionalExtension};

use super::{
    record::Record,
    task::{Split, Store},
};
use crate::Outcome;

const GONE: &str = "an entry is gone";

/// Keys by whether `is_there`.
fn split(keys: &[String], mut is_there: impl FnMut(&str) -> Outcome<bool>) -> Outcome<Split> {
    let (mut hits, mut misses) = (Vec::new(), Vec::new());
    for key in keys {
        if is_there(key)? { hits.push(key.clone()) } else { misses.push(key.clone()) }
    }
    Ok((hits, misses))
}

/// With a write-ahead log that is flushed at checkpoints, and all else as it is by default.
pub(super) struct Sqlite(Connection);

impl Sqlite {
    pub(super) fn open(dir: &Path) -> Outcome<Self> {
        let db = Connection::open(dir.join("sqlite"))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.execute_batch("CREATE TABLE entry (key TEXT PRIMARY KEY, value TEXT NOT NULL)")?;
        Ok(Self(db))
    }

    fn upsert(&self, key: &str, record: &Record) -> Outcome {
        let mut upsert = self.0.prepare_cached(
            "INSERT INTO entry VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?;
        upsert.execute([key, &serde_json::to_string(record)?])?;
        Ok(())
    }

    fn find<T>(&self, key: &str, read: impl FnOnce(&[u8]) -> T) -> Outcome<T> {
        let mut query = self.0.prepare_cached("SELECT value FROM entry WHERE key = ?1")?;
        let found =
            query.query_row([key], |row| Ok(read(row.get_ref(0)?.as_bytes()?))).optional()?;
        Ok(found.ok_or(GONE)?)
    }
}

impl Store for Sqlite {
    fn set(&mut self, key: &str, record: &Record) -> Outcome {
        self.upsert(key, record)
    }

    fn get(&mut self, key: &str) -> Outcome<Record> {
        Ok(self.find(key, |json| serde_json::from_slice(json))??)
    }

    fn get_json(&mut self, key: &str) -> Outcome<usize> {
        Ok(self.find(key, <[u8]>::to_vec)?.len())
    }

    fn set_many(&mut self, entries: &[(String, Record)]) -> Outcome {
        let transaction = self.0.unchecked_transaction()?;
        entries.iter().try_for_each(|(key, record)| self.upsert(key, record))?;
        Ok(transaction.commit()?)
    }

    fn hits_and_misses(&mut self, keys: &[String]) -> Outcome<Split> {
        let view = self.0.unchecked_transaction()?;
        let mut query = view.prepare_cached("SELECT 1 FROM entry WHERE key = ?1")?;
        split(keys, |key| Ok(query.exists([key])?))
    }

    fn remove(&mut self, key: &str) -> Outcome {
        self.0.prepare_cached("DELETE FROM entry WHERE key = ?1")?.execute([key])?;
        Ok(())
    }

    fn vacuum(&mut self) -> Outcome {
        Ok(self.0.execute_batch("VACUUM")?)
    }
}

/// As it is by default, but for what it may hold in memory.
pub(super) struct Larder(KvCache);

impl Larder {
    pub(super) fn open(dir: &Path, options: Options) -> Outcome<Self> {
        Ok(Self(KvCache::open(dir, "genes", options)?))
    }
}

impl Store for Larder {
    fn set(&mut self, key: &str, record: &Record) -> Outcome {
        Ok(self.0.set(key, record)?)
    }

    fn get(&mut self, key: &str) -> Outcome<Record> {
        Ok(self.0.get(key)?.hit().ok_or(GONE)?)
    }

    fn get_json(&mut self, key: &str) -> Outcome<usize> {
        Ok(self.0.get_json(key)?.hit().ok_or(GONE)?.len())
    }

    fn set_many(&mut self, entries: &[(String, Record)]) -> Outcome {
        Ok(self.0.set_many(entries.iter().map(|(key, record)| (key, record)))?)
    }

    fn hits_and_misses(&mut self, keys: &[String]) -> Outcome<Split> {
        Ok(self.0.hits_and_misses(keys)?)
    }

    fn remove(&mut self, key: &str) -> Outcome {
        self.0.invalidate(key)?;
        Ok(())
    }

    fn vacuum(&mut self) -> Outcome {
        Ok(self.0.vacuum()?)
    }
}

const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entry");

/// Without flushes, which alone would be what is timed.
pub(super) struct Redb(redb::Database);

impl Redb {
    pub(super) fn open(dir: &Path) -> Outcome<Self> {
        Ok(Self(redb::Database::create(dir.join("redb"))?))
    }

    fn write<'a>(&self, entries: impl IntoIterator<Item = (&'a str, &'a Record)>) -> Outcome {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::None)?;
        let mut table = transaction.open_table(TABLE)?;
        for (key, record) in entries {
            table.insert(key, &*serde_json::to_vec(record)?)?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    fn find<T>(&self, key: &str, read: impl FnOnce(&[u8]) -> T) -> Outcome<T> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        Ok(read(table.get(key)?.ok_or(GONE)?.value()))
    }
}

impl Store for Redb {
    fn set(&mut self, key: &str, record: &Record) -> Outcome {
        self.write([(key, record)])
    }

    fn get(&mut self, key: &str) -> Outcome<Record> {
        Ok(self.find(key, |json| serde_json::from_slice(json))??)
    }

    fn get_json(&mut self, key: &str) -> Outcome<usize> {
        Ok(self.find(key, <[u8]>::to_vec)?.len())
    }

    fn set_many(&mut self, entries: &[(String, Record)]) -> Outcome {
        self.write(entries.iter().map(|(key, record)| (&**key, record)))
    }

    fn hits_and_misses(&mut self, keys: &[String]) -> Outcome<Split> {
        let table = self.0.begin_read()?.open_table(TABLE)?;
        split(keys, |key| Ok(table.get(key)?.is_some()))
    }

    fn remove(&mut self, key: &str) -> Outcome {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::None)?;
        transaction.open_table(TABLE)?.remove(key)?;
        Ok(transaction.commit()?)
    }

    fn vacuum(&mut self) -> Outcome {
        while self.0.compact()? {}
        Ok(())
    }
}

/// As it is by default: a write reaches the operating system before it returns.
pub(super) struct Fjall {
    database: fjall::Database,
    entries: Keyspace,
}

impl Fjall {
    pub(super) fn open(dir: &Path) -> Outcome<Self> {
        let database = fjall::Database::builder(dir.join("fjall")).open()?;
        let entries = database.keyspace("entries", KeyspaceCreateOptions::default)?;
        Ok(Self { database, entries })
    }
}

impl Store for Fjall {
    fn set(&mut self, key: &str, record: &Record) -> Outcome {
        Ok(self.entries.insert(key, serde_json::to_vec(record)?)?)
    }

    fn get(&mut self, key: &str) -> Outcome<Record> {
        Ok(serde_json::from_slice(&self.entries.get(key)?.ok_or(GONE)?)?)
    }

    fn get_json(&mut self, key: &str) -> Outcome<usize> {
        Ok(self.entries.get(key)?.ok_or(GONE)?.len())
    }

    fn set_many(&mut self, entries: &[(String, Record)]) -> Outcome {
        let mut batch = self.database.batch();
        for (key, record) in entries {
            batch.insert(&self.entries, &**key, serde_json::to_vec(record)?);
        }
        Ok(batch.commit()?)
    }

    fn hits_and_misses(&mut self, keys: &[String]) -> Outcome<Split> {
        split(keys, |key| Ok(self.entries.contains_key(key)?))
    }

    fn remove(&mut self, key: &str) -> Outcome {
        Ok(self.entries.remove(key)?)
    }

    fn vacuum(&mut self) -> Outcome {
        Ok(self.entries.major_compact()?)
    }
}

/// JSON in memory: what a read or a write takes besides storing.
#[derive(Default)]
pub(super) struct Memory(HashMap<String, Bytes>);

impl Memory {
    fn find(&self, key: &str) -> Outcome<Bytes> {
        Ok(self.0.get(key).cloned().ok_or(GONE)?)
    }
}

impl Store for Memory {
    fn set(&mut self, key: &str, record: &Record) -> Outcome {
        self.0.insert(key.to_owned(), serde_json::to_vec(record)?.into());
        Ok(())
    }

    fn get(&mut self, key: &str) -> Outcome<Record> {
        Ok(serde_json::from_slice(&self.find(key)?)?)
    }

    fn get_json(&mut self, key: &str) -> Outcome<usize> {
        Ok(self.find(key)?.len())
    }

    fn set_many(&mut self, entries: &[(String, Record)]) -> Outcome {
        entries.iter().try_for_each(|(key, record)| self.set(key, record))
    }

    fn hits_and_misses(&mut self, keys: &[String]) -> Outcome<Split> {
        split(keys, |key| Ok(self.0.contains_key(key)))
    }

    fn remove(&mut self, key: &str) -> Outcome {
        self.0.remove(key);
        Ok(())
    }
}
