use std::collections::{HashMap, HashSet};

use larder_sqlite::Attempt;
use larder_storage::{Error, ErrorKind};
use rusqlite::{
    CachedStatement, Connection, OptionalExtension, params,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    rank::{self, Ranking},
    read,
    settings::Settings,
    space, sweep,
    uses::{Used, Uses},
};
use crate::{
    engine::{Change, Value, When, Write},
    value::{JSON_TEXT, Stored},
};

/// Forgets every live entry, by one small write.
pub(super) fn clear(tx: &Connection) -> Attempt<()> {
    tx.execute(
        "UPDATE meta SET value = max(value, (SELECT coalesce(max(id), 0) FROM entry)) WHERE name = 'cleared_through'",
        [],
    )?;
    Ok(())
}

/// Forgets every live entry of a tag, by one small write.
pub(super) fn clear_tag(tx: &Connection, tag: &str) -> Attempt<()> {
    tx.execute(
        "UPDATE tag SET cleared_through = max(cleared_through, (SELECT coalesce(max(id), 0) FROM entry_tag))
         WHERE name = ?1",
        [tag],
    )?;
    Ok(())
}

/// Deletes all rows of dead entries, and those of tags that no entry has.
pub(super) fn sweep_all(tx: &Connection, now: i64) -> Attempt<()> {
    let mut writer = Writer::begin(tx, now, usize::MAX, Settings::read(tx)?, None);
    sweep::all(&mut writer)?;
    if let Some(ranking) = &writer.settings.ranking {
        ranking.save(tx)?;
    }
    tx.execute("DELETE FROM entry_tag WHERE entry NOT IN (SELECT id FROM entry)", [])?;
    tx.execute("DELETE FROM tag WHERE id NOT IN (SELECT tag FROM entry_tag)", [])?;
    Ok(())
}

/// Changes entries, within one transaction or by one statement.
pub(super) struct Writer<'tx> {
    pub(super) tx: &'tx Connection,
    /// Nanoseconds since 1970, UTC.
    pub(super) now: i64,
    compress_from: usize,
    pub(super) settings: Settings,
    /// The entry that was set last, which is never evicted.
    newest: i64,
    /// How many rows were deleted.
    deleted: usize,
    /// The keys of rows that were deleted without being named.
    gone: Vec<String>,
    uses: Option<&'tx Uses>,
    /// Keys whose entries are others now than were used.
    renewed: HashSet<String>,
    promoted: HashMap<String, Used>,
    upsert: Option<CachedStatement<'tx>>,
}

const UPSERT: &str =
    "INSERT INTO entry (id, key, encoding, crc32c, written_at, expires_at, is_tagged, value)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (key) DO UPDATE SET
        encoding = excluded.encoding, crc32c = excluded.crc32c, written_at = excluded.written_at,
        expires_at = excluded.expires_at, is_tagged = excluded.is_tagged, value = excluded.value";

/// What writes came to.
pub(super) struct Outcome {
    /// Whether each of them happened.
    pub(super) done: Vec<bool>,
    /// How many entries were evicted.
    pub(super) evicted: u64,
    /// The keys of those, and of what was swept.
    pub(super) gone: Vec<String>,
    /// The keys that were set or removed, where uses are counted.
    pub(super) renewed: HashSet<String>,
    /// The uses that were written down because their entries would have been evicted.
    pub(super) promoted: HashMap<String, Used>,
    /// What the next writer has to know, where it stays as it is until somebody else writes.
    pub(super) settings: Option<Settings>,
}

/// A row of a key, live or not.
struct Row {
    id: i64,
    is_live: bool,
    is_tagged: bool,
}

impl<'tx> Writer<'tx> {
    pub(super) fn begin(
        tx: &'tx Connection,
        now: i64,
        compress_from: usize,
        settings: Settings,
        uses: Option<&'tx Uses>,
    ) -> Self {
        Self {
            tx,
            now,
            compress_from,
            settings,
            newest: 0,
            deleted: 0,
            gone: Vec::new(),
            uses,
            renewed: HashSet::new(),
            promoted: HashMap::new(),
            upsert: None,
        }
    }

    pub(super) fn run(mut self, writes: &[Write<'_>]) -> Attempt<Outcome> {
        let done = writes.iter().map(|write| self.apply(write)).collect::<Attempt<_>>()?;
        let evicted = self.finish(writes.len())?;
        // While there is something to sweep, the next writer looks again.
        let settings = (!self.settings.is_mixed(self.now)).then_some(self.settings);
        let Self { gone, renewed, promoted, .. } = self;
        Ok(Outcome { done, evicted, gone, renewed, promoted, settings })
    }

    /// Whether it happened.
    fn apply(&mut self, write: &Write<'_>) -> Attempt<bool> {
        if !self.holds(write)? {
            return Ok(false);
        }
        if self.uses.is_some() && !matches!(write.change, Change::Expire(_)) {
            self.renewed.insert(write.key.to_owned());
        }
        match &write.change {
            Change::Set(value) => self.set(write.key, value).map(|()| true),
            Change::SetAnew(value) => {
                self.remove(write.key)?;
                self.set(write.key, value).map(|()| true)
            }
            Change::Revalue(json) => self.revalue(write.key, json),
            Change::Remove => self.remove(write.key),
            Change::Expire(at) => self.expire(write.key, *at),
        }
    }

    fn holds(&self, write: &Write<'_>) -> Attempt<bool> {
        match &write.when {
            When::Always => Ok(true),
            When::Absent => Ok(self.row(write.key)?.is_none_or(|row| !row.is_live)),
            When::Unchanged(expected) => {
                let place = |key: &str| format!("key {key:?}");
                let found = read::find(self.tx, write.key, self.now, place)?;
                Ok(found.hit().map(|found| found.json) == *expected)
            }
        }
    }

    /// Where nothing is in its way, one statement does it.
    fn set(&mut self, key: &str, value: &Value) -> Attempt<()> {
        let stored = Stored::pack(key, &value.json, self.compress_from);
        self.expires(value.expires_at);
        self.check_room(key, &stored)?;
        if self.settings.is_plain(self.now) && value.tags.is_empty() {
            self.settings.last_id = self.next_id()?;
            return self.upsert(self.settings.last_id, key, &stored, value);
        }
        let row = self.row(key)?;
        let id = match &row {
            Some(row) if row.is_live => row.id,
            _ => {
                self.remove(key)?;
                self.settings.last_id = self.next_id()?;
                self.settings.last_id
            }
        };
        self.upsert(id, key, &stored, value)?;
        self.retag(id, row.is_some_and(|row| row.is_tagged), &value.tags)?;
        self.rank(id, size(key, &stored))
    }

    fn upsert(&mut self, id: i64, key: &str, stored: &Stored<'_>, value: &Value) -> Attempt<()> {
        let upsert = match &mut self.upsert {
            Some(upsert) => upsert,
            unprepared => unprepared.insert(self.tx.prepare_cached(UPSERT)?),
        };
        upsert.execute(params![
            id,
            key,
            stored.encoding,
            stored.crc32c,
            self.now,
            value.expires_at,
            !value.tags.is_empty(),
            Column(stored),
        ])?;
        Ok(())
    }

    fn revalue(&mut self, key: &str, json: &[u8]) -> Attempt<bool> {
        let Some(row) = self.row(key)?.filter(|row| row.is_live) else { return Ok(false) };
        let stored = Stored::pack(key, json, self.compress_from);
        self.check_room(key, &stored)?;
        let mut update = self.tx.prepare_cached(
            "UPDATE entry SET encoding = ?2, crc32c = ?3, written_at = ?4, value = ?5 WHERE id = ?1",
        )?;
        let column = Column(&stored);
        update.execute(params![row.id, stored.encoding, stored.crc32c, self.now, column])?;
        self.rank(row.id, size(key, &stored)).map(|()| true)
    }

    fn check_room(&self, key: &str, stored: &Stored<'_>) -> Attempt<()> {
        if let Some(ranking) = &self.settings.ranking {
            let at_path = |error: Error| error.at_path(self.tx.path().unwrap_or_default());
            ranking.cap.check_room(key, size(key, stored)).map_err(at_path)?;
        }
        Ok(())
    }

    /// Ranks an entry that was just set.
    fn rank(&mut self, id: i64, bytes: u64) -> Attempt<()> {
        self.newest = id;
        match &mut self.settings.ranking {
            Some(ranking) => ranking.stored(self.tx, id, bytes, self.now),
            None => Ok(()),
        }
    }

    fn next_id(&self) -> Attempt<i64> {
        let spent = || {
            let message = "the ids are used up, which only damage does: move the database aside";
            Error::new(ErrorKind::Corrupt, message).at_path(self.tx.path().unwrap_or_default())
        };
        Ok(self.settings.last_id.checked_add(1).ok_or_else(spent)?)
    }

    /// Gives an entry these tags and no others.
    fn retag(&mut self, entry: i64, is_tagged: bool, tags: &[String]) -> Attempt<()> {
        if is_tagged {
            self.tx.prepare_cached("DELETE FROM entry_tag WHERE entry = ?1")?.execute([entry])?;
        }
        for tag in tags {
            self.tx
                .prepare_cached("INSERT OR IGNORE INTO tag (name) VALUES (?1)")?
                .execute([tag])?;
            // Above the marks of all tags, of which the last may have no entries left.
            self.tx
                .prepare_cached(
                    "INSERT INTO entry_tag (id, entry, tag) VALUES (
                        1 + max((SELECT coalesce(max(id), 0) FROM entry_tag), (SELECT max(cleared_through) FROM tag)),
                        ?1, (SELECT id FROM tag WHERE name = ?2))",
                )?
                .execute(params![entry, tag])?;
            self.settings.is_mixed = true;
        }
        Ok(())
    }

    /// Deletes an entry, and tells whether it was live.
    fn remove(&mut self, key: &str) -> Attempt<bool> {
        let Some(row) = self.row(key)? else { return Ok(false) };
        self.delete(row.id, row.is_tagged)?;
        Ok(row.is_live)
    }

    /// Deletes an entry that nobody named.
    pub(super) fn sweep(&mut self, id: i64) -> Attempt<()> {
        let mut query = self.tx.prepare_cached("SELECT key FROM entry WHERE id = ?1")?;
        let key: Option<String> = query.query_row([id], |row| row.get(0)).optional()?;
        self.gone.extend(key);
        self.delete(id, true)
    }

    fn delete(&mut self, id: i64, is_tagged: bool) -> Attempt<()> {
        self.deleted += self.tx.prepare_cached("DELETE FROM entry WHERE id = ?1")?.execute([id])?;
        self.retag(id, is_tagged, &[])?;
        match &mut self.settings.ranking {
            Some(ranking) => ranking.removed(self.tx, id),
            None => Ok(()),
        }
    }

    fn expire(&mut self, key: &str, at: Option<i64>) -> Attempt<bool> {
        let Some(row) = self.row(key)?.filter(|row| row.is_live) else { return Ok(false) };
        self.expires(at);
        self.tx
            .prepare_cached("UPDATE entry SET expires_at = ?2 WHERE id = ?1")?
            .execute(params![row.id, at])?;
        Ok(true)
    }

    fn expires(&mut self, at: Option<i64>) {
        self.settings.next_expiry = [self.settings.next_expiry, at].into_iter().flatten().min();
    }

    fn row(&self, key: &str) -> Attempt<Option<Row>> {
        let mut query = self.tx.prepare_cached(
            "SELECT id, expires_at, is_tagged, is_tagged AND EXISTS (
                 SELECT 1 FROM entry_tag JOIN tag ON tag.id = entry_tag.tag
                 WHERE entry_tag.entry = entry.id AND entry_tag.id <= tag.cleared_through)
             FROM entry WHERE key = ?1",
        )?;
        let row = query.query_row([key], |row| {
            let (id, is_cleared): (i64, bool) = (row.get(0)?, row.get(3)?);
            let is_expired = read::is_expired(row.get(1)?, self.now);
            let is_live = id > self.settings.cleared_through && !is_cleared && !is_expired;
            Ok(Row { id, is_live, is_tagged: row.get(2)? })
        });
        Ok(row.optional()?)
    }

    /// Sweeps some of what is dead, evicts what is over the cap, and gives space back; how many were evicted.
    fn finish(&mut self, writes: usize) -> Attempt<u64> {
        let is_mixed = self.settings.is_mixed(self.now);
        if is_mixed {
            sweep::some(self, writes)?;
        }
        let mut evicted = 0;
        // Where nothing was set, nothing has to go.
        while self.newest != 0 && self.settings.ranking.as_ref().is_some_and(Ranking::is_over) {
            if is_mixed && sweep::one(self)? {
                continue;
            }
            let Some((id, key)) = rank::victim(self.tx, self.newest)? else { break };
            if self.promote(&key)? {
                continue;
            }
            self.delete(id, true)?;
            self.gone.push(key);
            evicted += 1;
        }
        if let Some(ranking) = &self.settings.ranking {
            ranking.save(self.tx)?;
        }
        space::give_back(self.tx, self.deleted)?;
        Ok(evicted)
    }

    /// Writes down the uses of an entry that would be evicted, if there are any: it may not be the least one then.
    fn promote(&mut self, key: &str) -> Attempt<bool> {
        let used = self.uses.and_then(|uses| uses.unwritten(key));
        let (Some(used), Some(ranking)) = (used, &self.settings.ranking) else { return Ok(false) };
        if self.promoted.contains_key(key) || self.renewed.contains(key) {
            return Ok(false);
        }
        ranking.used(self.tx, key, used)?;
        self.promoted.insert(key.to_owned(), used);
        Ok(true)
    }
}

/// JSON text as text, so that every SQLite tool shows it.
struct Column<'a>(&'a Stored<'a>);

impl rusqlite::ToSql for Column<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let bytes = &*self.0.bytes;
        let value = if self.0.encoding == JSON_TEXT {
            ValueRef::Text(bytes)
        } else {
            ValueRef::Blob(bytes)
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// What an entry counts for under a cap.
pub(super) fn size(key: &str, stored: &Stored<'_>) -> u64 {
    (key.len() + stored.bytes.len()) as u64
}
