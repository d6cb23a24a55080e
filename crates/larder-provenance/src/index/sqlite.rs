use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_sqlite::{Attempt, Database, Schema};
use larder_storage::{Digest, Durability, ErrorKind, Key, RESERVED_SEGMENT, Result};
use rusqlite::{
    CachedStatement, Connection, OptionalExtension, Params, named_params, params, types::ValueRef,
};

use super::{Change, Damaged, Object, Page, Removed, Totals, View};
use crate::{
    Id, Source, State,
    backend::Known,
    row::{self, Row},
};

/// The version of the tables in `provenance.sqlite`.
pub const FORMAT_VERSION: u32 = 1;

/// The number in the header of `provenance.sqlite` that says whose database it is: "L_pr".
pub const APPLICATION_ID: i32 = 0x4c5f_7072;

const SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    version: FORMAT_VERSION,
    derived: true,
    create: include_str!("schema.sql"),
    rules: &[],
};

/// Moves the damaged database of the records in `index_dir` aside, and says where to. `None` where it is sound or
/// missing. The next store to open makes it anew from the records on the storage.
///
/// # Errors
///
/// `Locked` where anybody has the store open; `Format` where the database is not ours; `Io` where it cannot be read or
/// moved.
pub fn repair_index(index_dir: impl AsRef<Path>) -> Result<Option<PathBuf>> {
    larder_sqlite::repair(&path(index_dir.as_ref()), &SCHEMA)
}

/// Whether a store has its index in this directory, be it damaged or moved aside, or its records.
pub fn is_store(index_dir: impl AsRef<Path>) -> bool {
    let dir = index_dir.as_ref();
    path(dir).exists()
        || path(dir).with_extension("sqlite.lock").exists()
        || has_records(&dir.join(row::PLACES))
}

/// Whether there is a directory that is named as those of records are.
fn has_records(places: &Path) -> bool {
    let is_part =
        |name: &OsStr| name.len() == 2 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
    fs::read_dir(places)
        .is_ok_and(|mut parts| parts.any(|part| part.is_ok_and(|part| is_part(&part.file_name()))))
}

fn path(dir: &Path) -> PathBuf {
    dir.join(RESERVED_SEGMENT).join("provenance.sqlite")
}

/// Records in `<dir>/.larder/provenance.sqlite`.
#[derive(Debug)]
pub(crate) struct Sqlite(Database);

impl Sqlite {
    pub(super) fn open(dir: &Path, durability: Durability) -> Result<Self> {
        Database::open_or_read(path(dir), &SCHEMA, durability).map(Self)
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    pub(super) fn empty_log(&self) -> Result<()> {
        self.0.empty_log()
    }

    pub(super) fn read<T>(&self, work: impl FnOnce(&dyn View) -> Attempt<T>) -> Result<T> {
        self.0.snapshot(|db| work(&Records(db)))
    }

    pub(super) fn change<T>(&self, work: impl FnOnce(&mut dyn Change) -> Attempt<T>) -> Result<T> {
        self.0.write(|tx| work(&mut Records(tx)))
    }

    pub(super) fn damage(&self) -> Result<Option<String>> {
        match self.0.verify() {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }

    pub(super) fn faults(&self) -> Result<Vec<String>> {
        let inputs = differing(
            "SELECT coalesce(replace(value ->> 'id', '-', ''), value ->> 'content'), records.id
             FROM records, json_each(iif(json_valid(record), record, '{}'), '$.provenance.inputs')",
            "SELECT lower(hex(source)), child FROM edges",
        );
        let tags = differing(
            "SELECT value, records.id
             FROM records, json_each(iif(json_valid(record), record, '{}'), '$.tags')",
            "SELECT tag, id FROM tags",
        );
        let odd = "SELECT count(*) FROM records WHERE json_valid(record) AND
                   (record ->> 'kind', record ->> 'payload', record ->> 'payload_len', record ->> 'key',
                    record ->> '$.provenance.operation', record ->> 'state')
                   IS NOT (kind, lower(hex(payload)), payload_len, iif(key IS NULL, NULL, lower(hex(key))), operation,
                           CASE state WHEN 0 THEN 'live' WHEN 1 THEN 'doubtful' WHEN 2 THEN 'collected'
                                      WHEN 3 THEN 'invalid' END)";
        let asked = [
            (&*inputs, "inputs are not as the records have them"),
            (&*tags, "tags are not as the records have them"),
            (odd, "records are found by what they do not hold"),
        ];
        self.0.read(|db| {
            let mut faults = Vec::new();
            for (sql, what) in asked {
                let count: u64 = db.query_row(sql, [], |row| row.get(0))?;
                if count > 0 {
                    faults.push(format!("{count} {what}: `reindex` finds them again"));
                }
            }
            Ok(faults)
        })
    }
}

/// The records, in a transaction where they are changed.
struct Records<'a>(&'a Connection);

impl View for Records<'_> {
    fn by_id(&self, id: Id) -> Attempt<Option<Arc<Row>>> {
        self.one("id = ?1", [id.as_bytes()])
    }

    fn by_key(&self, kind: &str, key: &Digest) -> Attempt<Option<Arc<Row>>> {
        let found = self.one("key = ?1 AND kind = ?2", params![key.as_bytes(), kind])?;
        match &found {
            Some(row) if row.kind != kind || row.key.as_ref() != Some(key) => {
                Err(Damaged::new(row.id.as_bytes()).error.into())
            }
            _ => Ok(found),
        }
    }

    fn children(&self, source: &Source) -> Attempt<Vec<Id>> {
        let mut query = self.0.prepare_cached("SELECT child FROM edges WHERE source = ?1")?;
        let ids = query.query_map([bytes(source)], |row| row.get(0).map(Id::from_bytes))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    fn is_used(&self, payload: &Digest) -> Attempt<bool> {
        let sql = "SELECT 1 FROM records WHERE payload = ?1 AND state < 2 LIMIT 1";
        Ok(self.0.prepare_cached(sql)?.exists([payload.as_bytes()])?)
    }

    fn page(&self, kind: Option<&str>, after: &[u8], limit: usize) -> Attempt<Page> {
        match kind {
            Some(kind) => page(
                &mut self.select("kind = ?1 AND id > ?2 AND state < 2 ORDER BY id LIMIT ?3")?,
                params![kind, after, limit],
            ),
            None => page(&mut self.select("id > ?1 ORDER BY id LIMIT ?2")?, params![after, limit]),
        }
    }

    fn of_operation(&self, kind: &str, operation: &str, limit: usize) -> Attempt<Vec<Arc<Row>>> {
        let condition = "operation = ?1 AND kind = ?2 ORDER BY id DESC LIMIT ?3";
        let page = page(&mut self.select(condition)?, params![operation, kind, limit])?;
        Ok(page.rows.into_iter().filter_map(Result::ok).collect())
    }

    fn tagged(&self, tag: &str) -> Attempt<Vec<Id>> {
        let mut query = self.0.prepare_cached("SELECT id FROM tags WHERE tag = ?1")?;
        let ids = query.query_map([tag], |row| row.get(0).map(Id::from_bytes))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    fn count(&self, kind: &str) -> Attempt<u64> {
        let sql = "SELECT count(*) FROM records WHERE kind = ?1 AND state < 2";
        Ok(self.0.prepare_cached(sql)?.query_row([kind], |row| row.get(0))?)
    }

    fn totals(&self) -> Attempt<Totals> {
        let sql = "SELECT kind, count(*) FROM records WHERE state < 2 GROUP BY kind ORDER BY kind";
        let mut query = self.0.prepare_cached(sql)?;
        let kinds = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let kinds = kinds.collect::<rusqlite::Result<_>>()?;
        let sql = "SELECT count(*), ifnull(sum(payload_len), 0),
                          (SELECT count(*) FROM records WHERE state >= 2)
                   FROM (SELECT DISTINCT payload, payload_len FROM records WHERE state < 2)";
        let (payloads, bytes, without) =
            self.0.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(Totals { kinds, without, payloads, bytes })
    }

    fn known(&self) -> Attempt<HashMap<Key, Known>> {
        let mut query = self.0.prepare("SELECT id, record, modified FROM records")?;
        let (mut rows, mut known) = (query.query([])?, HashMap::new());
        while let Some(row) = rows.next()? {
            if let Ok(found) = read(row) {
                known.insert(found.place()?, Known { id: found.id, object: object(row.get(2)?) });
            }
        }
        Ok(known)
    }

    fn is_unread(&self) -> Attempt<bool> {
        Ok(self.0.prepare_cached("SELECT 1 FROM unread")?.exists([])?)
    }

    fn is_behind(&self, id: Id) -> Attempt<bool> {
        let sql = "SELECT 1 FROM records WHERE id = ?1 AND modified = -1";
        Ok(self.0.prepare_cached(sql)?.exists([id.as_bytes()])?)
    }

    fn place(&self, id: Id) -> Attempt<Option<Key>> {
        let mut query = self.0.prepare_cached("SELECT kind, key FROM records WHERE id = ?1")?;
        let place = query.query_row([id.as_bytes()], |row| Ok(place(id, row))).optional()?;
        Ok(place.flatten())
    }

    fn behind(&self) -> Attempt<Vec<Id>> {
        // As the index of the table says it; what is no id is damaged, and `reindex` reads the record again.
        let sql = "SELECT id FROM records WHERE modified = -1 AND length(id) = 16";
        let mut query = self.0.prepare_cached(sql)?;
        let ids = query.query_map([], |row| row.get(0).map(Id::from_bytes))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }
}

impl Change for Records<'_> {
    fn put(&mut self, row: &Row, object: Object) -> Attempt<()> {
        let provenance = row.provenance()?;
        if let Some(key) = &row.key {
            self.remove_others(key, row)?;
        }
        self.forget(row.id)?;
        let sql = "INSERT OR REPLACE INTO records (id, kind, state, key, operation, payload, payload_len, record,
                                                   modified)
                   VALUES (:id, :kind, :state, :key, :operation, :payload, :payload_len, :record, :modified)";
        self.0.prepare_cached(sql)?.execute(named_params! {
            ":id": row.id.as_bytes(),
            ":kind": row.kind,
            ":state": number(row.state),
            ":key": row.key.as_ref().map(Digest::as_bytes),
            ":operation": provenance.as_ref().map(|it| it.operation()),
            ":payload": row.content.payload.as_bytes(),
            ":payload_len": row.content.payload_len,
            ":record": row.to_text()?,
            ":modified": match object {
                Object::Same(modified) => modified,
                Object::Behind => Some(BEHIND),
            },
        })?;
        let mut edge = self.0.prepare_cached("INSERT OR IGNORE INTO edges VALUES (?1, ?2)")?;
        for input in provenance.iter().flat_map(|it| it.inputs()) {
            edge.execute(params![bytes(input.source()), row.id.as_bytes()])?;
        }
        let mut tagged = self.0.prepare_cached("INSERT INTO tags VALUES (?1, ?2)")?;
        for tag in &row.tags {
            tagged.execute(params![tag, row.id.as_bytes()])?;
        }
        Ok(())
    }

    fn remove(&mut self, id: Id) -> Attempt<Option<Removed>> {
        let sql = "DELETE FROM records WHERE id = ?1 RETURNING kind, key, payload";
        // What is damaged can be removed too.
        let removed = |row: &rusqlite::Row<'_>| {
            Ok(Removed { place: place(id, row), payload: digest(row, 2) })
        };
        let removed = self.0.prepare_cached(sql)?.query_row([id.as_bytes()], removed).optional()?;
        self.forget(id)?;
        Ok(removed)
    }

    fn clear(&mut self) -> Attempt<()> {
        let ahead = self.behind()?.into_iter().filter_map(|id| self.by_id(id).ok().flatten());
        let ahead: Vec<_> = ahead.collect();
        for table in ["records", "edges", "tags", "unread"] {
            self.0.execute(&format!("DELETE FROM {table}"), [])?;
        }
        self.0.execute("INSERT INTO unread VALUES (0)", [])?;
        ahead.iter().try_for_each(|row| self.put(row, Object::Behind))
    }

    fn set_read(&mut self) -> Attempt<()> {
        Ok(self.0.execute("DELETE FROM unread", []).map(drop)?)
    }
}

impl Records<'_> {
    fn select(&self, condition: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.0.prepare_cached(&format!("SELECT id, record FROM records WHERE {condition}"))
    }

    /// The one record that fulfils the condition.
    fn one(&self, condition: &str, params: impl Params) -> Attempt<Option<Arc<Row>>> {
        let mut query = self.select(condition)?;
        let mut rows = query.query(params)?;
        let row = rows.next()?.map(read).transpose();
        Ok(row.map_err(|damaged| damaged.error)?)
    }

    /// Removes records with the key of this one, whatever they have for an id.
    fn remove_others(&self, key: &Digest, row: &Row) -> rusqlite::Result<()> {
        let others = "SELECT id FROM records WHERE key = ?1 AND kind = ?2 AND id <> ?3";
        for sql in [
            format!("DELETE FROM edges WHERE child IN ({others})"),
            format!("DELETE FROM tags WHERE id IN ({others})"),
            format!("DELETE FROM records WHERE id IN ({others})"),
        ] {
            let params = params![key.as_bytes(), row.kind, row.id.as_bytes()];
            self.0.prepare_cached(&sql)?.execute(params)?;
        }
        Ok(())
    }

    /// Removes what is known of a record elsewhere.
    fn forget(&self, id: Id) -> rusqlite::Result<()> {
        self.0.prepare_cached("DELETE FROM edges WHERE child = ?1")?.execute([id.as_bytes()])?;
        self.0.prepare_cached("DELETE FROM tags WHERE id = ?1")?.execute([id.as_bytes()])?;
        Ok(())
    }
}

fn page(query: &mut CachedStatement<'_>, params: impl Params) -> Attempt<Page> {
    let (mut rows, mut page) = (query.query(params)?, Page::default());
    while let Some(row) = rows.next()? {
        page.rows.push(read(row));
        page.last.clear();
        page.last.extend_from_slice(id(row));
    }
    Ok(page)
}

fn read(row: &rusqlite::Row<'_>) -> Result<Arc<Row>, Damaged> {
    let damaged = || Damaged::new(id(row));
    let text = row.get_ref(1).ok().and_then(|text| text.as_str().ok()).ok_or_else(damaged)?;
    match Row::from_text(text) {
        Ok(found) if found.id.as_bytes() == id(row) => Ok(Arc::new(found)),
        Ok(_) => Err(damaged()),
        // It is sound, and of another version.
        Err(error) if error.kind() == ErrorKind::Format => Err(Damaged { error, ..damaged() }),
        Err(error) => {
            let damaged = damaged();
            Err(Damaged { error: damaged.error.with_source(error), ..damaged })
        }
    }
}

/// Counts what only one of two queries gives.
fn differing(one: &str, other: &str) -> String {
    let only = |one, other| {
        format!("(SELECT count(*) FROM (SELECT * FROM {one} EXCEPT SELECT * FROM {other}))")
    };
    let (only_one, only_other) = (only("one", "other"), only("other", "one"));
    format!("WITH one AS ({one}), other AS ({other}) SELECT {only_one} + {only_other}")
}

/// The id as it is kept, whatever that is.
fn id<'a>(row: &'a rusqlite::Row<'_>) -> &'a [u8] {
    row.get_ref(0).ok().and_then(|id| id.as_bytes().ok()).unwrap_or_default()
}

fn bytes(source: &Source) -> &[u8] {
    match source {
        Source::Record(id) => id.as_bytes(),
        Source::Content(digest) => digest.as_bytes(),
    }
}

/// Where a record lies by its columns `kind` and `key`, if they are sound.
fn place(id: Id, row: &rusqlite::Row<'_>) -> Option<Key> {
    let kind = row.get::<_, String>(0).ok()?;
    match row.get_ref(1).ok()? {
        ValueRef::Null => row::place(id.as_bytes()).ok(),
        _ => row::place_of(&kind, &digest(row, 1)?).ok(),
    }
}

fn digest(row: &rusqlite::Row<'_>, column: usize) -> Option<Digest> {
    row.get::<_, [u8; 32]>(column).ok().map(Digest::from)
}

/// In the column `modified`: the object is older than the record.
const BEHIND: i64 = -1;

fn object(modified: Option<i64>) -> Object {
    if modified == Some(BEHIND) { Object::Behind } else { Object::Same(modified) }
}

fn number(state: State) -> u8 {
    match state {
        State::Live => 0,
        State::Doubtful => 1,
        State::Collected => 2,
        State::Invalid => 3,
    }
}
