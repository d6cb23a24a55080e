//! The engine that keeps entries in a SQLite database.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use larder_sqlite::{Attempt, Database, Failure, Turn};
use larder_storage::{Error, Result, lock};
use rusqlite::{Connection, Transaction};

use crate::{
    Lookup, Options, Policy, Status, VerifyReport,
    engine::{Change, EachEntry, Engine, Flight, Found, Value, Write},
    namespace,
    value::Stored,
};

mod flight;
mod rank;
mod read;
mod schema;
mod settings;
mod space;
mod sweep;
mod tier;
mod uses;
mod verify;
mod writer;

pub(crate) use rank::Cap;
use rank::Ranking;
use schema::SCHEMA;
use settings::Settings;
use tier::Tier;
use uses::{Used, Uses};
use writer::{Outcome, Writer};

#[derive(Debug)]
pub(crate) struct Sqlite {
    namespace: String,
    database: Database,
    compress_from: usize,
    tier: Tier,
    /// None where nobody asks which entries are used.
    uses: Option<Uses>,
    evictions: AtomicU64,
    /// What the last write left, and at which state.
    known: Mutex<Option<(u64, Settings)>>,
}

impl Sqlite {
    pub(crate) fn open(dir: &Path, namespace: &str, options: &Options) -> Result<Self> {
        let path = namespace::path(dir, namespace)?;
        let database = Database::open(path, &SCHEMA, options.durability)?;
        if let Some(cap) = options.capacity
            && database.read(Cap::read)? != cap
        {
            database.write(|tx| Cap::set(cap, tx))?;
        }
        // What those who died computing left; what cannot be removed is in nobody's way.
        let _ = lock::sweep(&flight::dir(database.path()));
        let cap = database.read(Cap::read)?;
        let is_ranked = cap.is_some_and(|cap| cap.policy != Policy::Oldest);
        let (namespace, compress_from) = (namespace.to_owned(), options.compress_from);
        Ok(Self {
            namespace,
            database,
            compress_from,
            tier: Tier::new(options.memory),
            uses: is_ranked.then(Uses::default),
            evictions: AtomicU64::new(0),
            known: Mutex::default(),
        })
    }

    pub(crate) fn repair(dir: &Path, namespace: &str) -> Result<Option<PathBuf>> {
        larder_sqlite::repair(&namespace::path(dir, namespace)?, &SCHEMA)
    }

    fn look(&self, db: &Connection, key: &str, now: i64) -> Attempt<Lookup<Found>> {
        read::find(db, key, now, |key| namespace::place(&self.namespace, key)).map_err(|failure| {
            match failure {
                Failure::Work(error) => Failure::Work(error.at_path(self.database.path())),
                failure => failure,
            }
        })
    }

    /// A transaction that changes no entry, so that what anybody knows of them stays true.
    fn write_beside<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Attempt<T>) -> Result<T> {
        let mut turn = self.database.turn()?;
        turn.keep_state();
        turn.transact(work)
    }

    fn known(&self) -> MutexGuard<'_, Option<(u64, Settings)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a use of an entry, and writes uses down where many wait, or one for long.
    fn count_use(&self, key: &str, now: i64) {
        if let Some(uses) = &self.uses
            && uses.count(key, now)
        {
            // A read waits for nobody who writes: the next one tries again.
            self.tell(uses, self.database.try_turn(), || uses.take(now));
        }
    }

    /// Writes uses down, which are taken in the turn, so that nobody who evicts writes them down as well. Neither a read
    /// nor the end of a cache fails because this does.
    fn tell(
        &self,
        uses: &Uses,
        turn: Result<Option<Turn<'_>>>,
        take: impl FnOnce() -> Vec<(Box<str>, Used)>,
    ) {
        let mut turn = match turn {
            Ok(Some(turn)) => turn,
            Ok(None) => return,
            Err(error) => return self.not_told(&error),
        };
        turn.keep_state();
        let taken = take();
        if let Err(error) = turn.transact(|tx| Ranking::tell(tx, &taken)) {
            uses.give_back(taken);
            self.not_told(&error);
        }
    }

    fn not_told(&self, error: &Error) {
        tracing::warn!(namespace = self.namespace, %error, "uses were not written down");
    }

    /// What the memory knows of the writes that were just done.
    fn remember(&self, writes: &[Write<'_>], done: &[bool], gone: &[String]) {
        for (write, done) in writes.iter().zip(done) {
            match &write.change {
                // What is held may be what another program made untrue.
                _ if !done => self.tier.forget(write.key),
                Change::Set(value) | Change::SetAnew(value) => {
                    let (json, expires_at) = (value.json.clone(), value.expires_at);
                    self.tier.put(write.key, Found { json, expires_at });
                }
                Change::Revalue(_) | Change::Remove | Change::Expire(_) => {
                    self.tier.forget(write.key);
                }
            }
        }
        gone.iter().for_each(|key| self.tier.forget(key));
    }
}

impl Engine for Sqlite {
    fn path(&self) -> &Path {
        self.database.path()
    }

    fn find(&self, key: &str, now: i64) -> Result<Lookup<Found>> {
        let state = self.database.state();
        if let Some(found) = self.tier.get(state, key) {
            if read::is_expired(found.expires_at, now) {
                return Ok(Lookup::Expired);
            }
            self.count_use(key, now);
            return Ok(Lookup::Hit(found));
        }
        let found = self.database.read(|db| self.look(db, key, now))?;
        if let Lookup::Hit(found) = &found {
            self.count_use(key, now);
            self.tier.fill(state, key, found.clone());
        }
        Ok(found)
    }

    fn find_many(&self, keys: &[&str], now: i64) -> Result<Vec<Lookup<Found>>> {
        // One look is at one state.
        if let [key] = keys {
            return Ok(vec![self.find(key, now)?]);
        }
        let state = self.database.state();
        let found: Vec<Lookup<Found>> = self.database.read(|db| {
            let view = db.unchecked_transaction()?;
            keys.iter().map(|key| self.look(&view, key, now)).collect()
        })?;
        for (key, found) in keys.iter().zip(&found) {
            if let Lookup::Hit(found) = found {
                self.count_use(key, now);
                self.tier.fill(state, key, found.clone());
            }
        }
        Ok(found)
    }

    fn contains(&self, keys: &[&str], now: i64) -> Result<Vec<bool>> {
        self.database.read(|db| {
            if let [key] = keys {
                return Ok(vec![read::is_live(db, key, now)?]);
            }
            let view = db.unchecked_transaction()?;
            read::Presence::new(&view, now)?.of(keys)
        })
    }

    fn keys(&self, prefix: &str, now: i64) -> Result<Vec<String>> {
        self.database.read(|db| read::keys(db, prefix, now))
    }

    fn len(&self, now: i64) -> Result<u64> {
        self.database.read(|db| {
            let view = db.unchecked_transaction()?;
            read::Presence::new(&view, now)?.count()
        })
    }

    fn write(&self, writes: &[Write<'_>], now: i64) -> Result<Vec<bool>> {
        let mut turn = self.database.turn()?;
        let known = match *self.known() {
            Some((state, settings)) if state == turn.span().start => Some(settings),
            _ => None,
        };
        let uses = self.uses.as_ref();
        let work = |db: &Connection| {
            let settings = known.map_or_else(|| Settings::read(db), Ok)?;
            Writer::begin(db, now, self.compress_from, settings, uses).run(writes)
        };
        let is_plain = known.is_some_and(|settings| settings.is_plain(now));
        let outcome = match writes {
            [write] if is_plain && write.is_plain(now) => turn.run(work),
            _ => turn.transact(|tx| work(tx)),
        };
        let Outcome { done, evicted, gone, renewed, promoted, settings } = outcome?;
        // Before the turn ends, so that nobody sees the new state first and forgets what is held.
        let span = turn.span();
        *self.known() = settings.map(|settings| (span.end, settings));
        self.tier.advance(span, || self.remember(writes, &done, &gone));
        if let Some(uses) = uses {
            promoted.iter().for_each(|(key, used)| uses.written(key, *used));
            renewed.iter().chain(&gone).for_each(|key| uses.forget(key));
        }
        drop(turn);
        self.evictions.fetch_add(evicted, Ordering::Relaxed);
        if evicted > 0 {
            tracing::debug!(namespace = self.namespace, evicted, "evicted");
        }
        Ok(done)
    }

    fn admit(&self, key: &str, value: &Value) -> Result<()> {
        let Some(cap) = self.database.read(Cap::read)? else { return Ok(()) };
        let stored = Stored::pack(key, &value.json, self.compress_from);
        cap.check_room(key, writer::size(key, &stored))
    }

    fn clear(&self, tag: Option<&str>) -> Result<()> {
        let mut turn = self.database.turn()?;
        turn.run(|db| match tag {
            None => writer::clear(db),
            Some(tag) => writer::clear_tag(db, tag),
        })?;
        self.tier.advance(turn.span(), || self.tier.forget_all());
        if let (Some(uses), None) = (&self.uses, tag) {
            uses.forget_all();
        }
        Ok(())
    }

    /// Every look is at what is there.
    fn reload(&self) -> Result<()> {
        Ok(())
    }

    fn entries(&self, now: i64, each: &mut EachEntry<'_>) -> Result<()> {
        let place = |key: &str| namespace::place(&self.namespace, key);
        self.database.read(|db| read::entries(db, now, place, each))
    }

    fn take_off<'a>(&'a self, keys: &[&str], now: i64) -> Result<Box<dyn Flight + 'a>> {
        Ok(Box::new(flight::take_off(self, keys, now)?))
    }

    fn close(&self) {
        if let Some(uses) = &self.uses {
            let taken = uses.take_all();
            if !taken.is_empty() {
                self.tell(uses, self.database.turn().map(Some), || taken);
            }
        }
    }

    fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    fn status(&self, now: i64) -> Result<Status> {
        let entries = self.len(now)?;
        self.database.read(|db| {
            let (bytes, free_bytes) = space::size(db)?;
            let dead = read::rows(db)?.saturating_sub(entries);
            let (namespace, path) = (self.namespace.clone(), self.path().to_owned());
            Ok(Status { namespace, path, entries, unsaved: 0, dead, bytes, free_bytes })
        })
    }

    fn verify(&self) -> Result<VerifyReport> {
        verify::verify(&self.database, |key| namespace::place(&self.namespace, key))
    }

    fn vacuum(&self, now: i64) -> Result<()> {
        self.database.write(|tx| writer::sweep_all(tx, now))?;
        self.database.vacuum()
    }
}
