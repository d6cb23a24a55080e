//! Who computes what: rows of the table `flight`, each as good as the lock on the file of its owner.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use larder_sqlite::{Attempt, Database};
use larder_storage::{Digest, Error, ErrorKind, Result, lock::FileLock};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Sqlite, read};
use crate::engine::Flight;

thread_local! {
    /// The owners whose computations run on this thread.
    static HERE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The rows of one owner, and whom to wait for.
pub(super) struct SqliteFlight<'a> {
    engine: &'a Sqlite,
    owner: String,
    /// For each key that was asked for.
    leads: Vec<bool>,
    others: Option<String>,
    lock: Option<FileLock>,
}

/// The directory of the owners' lock files.
pub(super) fn dir(database: &Path) -> PathBuf {
    database.with_extension("flights")
}

pub(super) fn take_off<'a>(
    engine: &'a Sqlite,
    keys: &[&str],
    now: i64,
) -> Result<SqliteFlight<'a>> {
    let database = &engine.database;
    let owner = Digest::of(uuid::Uuid::new_v4().as_bytes()).to_string();
    let lock = FileLock::exclusive(&dir(database.path()).join(&owner))?;
    let mut flight =
        SqliteFlight { engine, owner, leads: Vec::new(), others: None, lock: Some(lock) };
    HERE.with_borrow_mut(|here| here.push(flight.owner.clone()));
    for key in keys {
        if HERE.with_borrow(|here| computes(database, here, key))? {
            let message =
                format!("key {key:?} is computed by this very thread: compute another one");
            return Err(Error::new(ErrorKind::Locked, message).at_path(database.path()));
        }
    }
    let claim = |tx: &Transaction<'_>| claim(tx, keys, &flight.owner, now);
    let (leads, others) = engine.write_beside(claim)?;
    (flight.leads, flight.others) = (leads, others);
    Ok(flight)
}

/// Whether one of these owners computes the key.
fn computes(database: &Database, owners: &[String], key: &str) -> Result<bool> {
    if owners.len() < 2 {
        return Ok(false);
    }
    let owner = database.read(|db| owner_of(db, key))?;
    Ok(owner.is_some_and(|owner| owners.contains(&owner)))
}

fn owner_of(db: &rusqlite::Connection, key: &str) -> Attempt<Option<String>> {
    let mut query = db.prepare_cached("SELECT owner FROM flight WHERE key = ?1")?;
    Ok(query.query_row([key], |row| row.get(0)).optional()?)
}

/// For each key, whether it is the owner's now; and one other owner to wait for.
fn claim(
    tx: &Transaction<'_>,
    keys: &[&str],
    owner: &str,
    now: i64,
) -> Attempt<(Vec<bool>, Option<String>)> {
    let present = read::Presence::new(tx, now)?.of(keys)?;
    let mut insert = tx.prepare_cached("INSERT INTO flight (key, owner) VALUES (?1, ?2)")?;
    let (mut leads, mut others) = (Vec::with_capacity(keys.len()), None);
    for (key, is_there) in keys.iter().zip(present) {
        let other = owner_of(tx, key)?;
        let is_free = other.is_none() && !is_there;
        if is_free {
            insert.execute(params![key, owner])?;
        }
        leads.push(is_free);
        others = others.or(other.filter(|other| other != owner));
    }
    Ok((leads, others))
}

fn release(engine: &Sqlite, owner: &str) -> Result<()> {
    let is_there = engine.database.read(|db| {
        let mut query = db.prepare_cached("SELECT 1 FROM flight WHERE owner = ?1")?;
        Ok(query.exists([owner])?)
    })?;
    if !is_there {
        return Ok(());
    }
    engine.write_beside(|tx| {
        // Few rows: the computations that are going on, and of owners that died.
        tx.prepare_cached("DELETE FROM flight WHERE owner = ?1")?.execute([owner])?;
        Ok(())
    })
}

impl Flight for SqliteFlight<'_> {
    fn leads(&self, index: usize) -> bool {
        self.leads[index]
    }

    fn land(mut self: Box<Self>) -> Result<()> {
        let (engine, other) = (self.engine, self.others.take());
        drop(self);
        let Some(other) = other else { return Ok(()) };
        // Held by its owner as long as that lives.
        let gone = FileLock::exclusive(&dir(engine.database.path()).join(&other))?;
        release(engine, &other)?;
        gone.remove()
    }
}

impl Drop for SqliteFlight<'_> {
    fn drop(&mut self) {
        HERE.with_borrow_mut(|here| here.retain(|owner| *owner != self.owner));
        if self.leads.contains(&true) {
            // Rows that stay mean nothing once the lock is free.
            let _ = release(self.engine, &self.owner);
        }
        let _ = self.lock.take().map(FileLock::remove);
    }
}
