use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_sqlite::{Attempt, Database, Schema};
use larder_storage::{Digest, Durability, ErrorKind, RESERVED_SEGMENT, Result, time};
use rusqlite::{
    CachedStatement, Connection, OptionalExtension, Params, Transaction, named_params, params,
    types::FromSql,
};

use super::{Damaged, Draft, Exclusively, Index, Keyed, Page, Plan, Row, Totals};
use crate::{Id, Source};

/// The version of the tables in `provenance.sqlite`.
pub const FORMAT_VERSION: u32 = 1;

/// The number in the header of `provenance.sqlite` that says whose database it is: "L_pr".
pub const APPLICATION_ID: i32 = 0x4c5f_7072;

const SCHEMA: Schema = Schema {
    application_id: APPLICATION_ID,
    version: FORMAT_VERSION,
    derived: false,
    create: include_str!("schema.sql"),
    rules: &[],
};

const COLUMNS: &str =
    "id, kind, version, created_at, key, provenance, payload, payload_len, summary, checksum";

/// Moves the damaged database of the records in `index_dir` aside, and says where to. `None` where it is sound or
/// missing: single damaged records are deleted or computed anew instead. The next store to open begins without records,
/// and the payloads stay, to be taken up where the same result is stored again.
///
/// # Errors
///
/// `Locked` where anybody has the store open; `Format` where the database is not ours; `Io` where it cannot be read or
/// moved.
pub fn repair(index_dir: impl AsRef<Path>) -> Result<Option<PathBuf>> {
    larder_sqlite::repair(&path(index_dir.as_ref()), &SCHEMA)
}

fn path(dir: &Path) -> PathBuf {
    dir.join(RESERVED_SEGMENT).join("provenance.sqlite")
}

/// Records in `<dir>/.larder/provenance.sqlite`.
#[derive(Debug)]
pub(crate) struct SqliteIndex(Database);

impl SqliteIndex {
    pub(crate) fn open(dir: &Path, durability: Durability) -> Result<Self> {
        Database::open(path(dir), &SCHEMA, durability).map(Self)
    }
}

impl Index for SqliteIndex {
    fn by_id(&self, id: Id) -> Result<Option<Arc<Row>>> {
        self.0.read(|db| one(db, "id = ?1 AND state = 0", [id.as_bytes()]))
    }

    fn by_provenance(&self, kind: &'static str, key: &Digest) -> Result<Option<Arc<Row>>> {
        self.0.read(|db| by_provenance(db, kind, key))
    }

    fn insert(
        &self,
        draft: &Draft,
        broken: Option<&Digest>,
        ensure: Exclusively<'_>,
    ) -> Result<Arc<Row>> {
        self.0.write(|tx| {
            let existing = match &draft.provenance {
                Some(keyed) => by_provenance(tx, draft.kind, &keyed.key)?,
                None => None,
            };
            let row = match Row::plan(draft, existing, broken) {
                Plan::Keep(row) => return Ok(row),
                Plan::Insert(row) => {
                    insert(tx, &row, draft)?;
                    row
                }
                Plan::Replace(row) => {
                    replace(tx, &row, draft)?;
                    row
                }
            };
            ensure()?;
            Ok(Arc::new(row))
        })
    }

    fn delete(&self, id: Id) -> Result<(bool, Option<Digest>)> {
        self.0.write(|tx| {
            let sql = "DELETE FROM records WHERE id = ?1 AND state = 0 RETURNING payload";
            // What is damaged can be deleted too.
            let payload = |row: &rusqlite::Row<'_>| Ok(row.get::<_, [u8; 32]>(0).ok());
            let deleted = tx.prepare_cached(sql)?.query_row([id.as_bytes()], payload).optional()?;
            if deleted.is_some() {
                tx.prepare_cached("DELETE FROM edges WHERE child = ?1")?
                    .execute([id.as_bytes()])?;
                tx.prepare_cached("DELETE FROM tags WHERE id = ?1")?.execute([id.as_bytes()])?;
            }
            Ok((deleted.is_some(), deleted.flatten().map(Digest::from)))
        })
    }

    fn if_unused(&self, payload: &Digest, reap: Exclusively<'_>) -> Result<()> {
        self.0.write(|tx| {
            let sql = "SELECT 1 FROM records WHERE payload = ?1 AND state = 0 LIMIT 1";
            let used = tx.prepare_cached(sql)?.exists([payload.as_bytes()])?;
            if used { Ok(()) } else { Ok(reap()?) }
        })
    }

    fn page(&self, kind: Option<&'static str>, after: &[u8], limit: usize) -> Result<Page> {
        self.0.read(|db| match kind {
            Some(kind) => {
                let mut query =
                    select(db, "kind = ?1 AND id > ?2 AND state = 0 ORDER BY id LIMIT ?3")?;
                page(&mut query, params![kind, after, limit])
            }
            None => page(
                &mut select(db, "id > ?1 AND state = 0 ORDER BY id LIMIT ?2")?,
                params![after, limit],
            ),
        })
    }

    fn len(&self, kind: &str) -> Result<u64> {
        let sql = "SELECT count(*) FROM records WHERE kind = ?1 AND state = 0";
        self.0.read(|db| Ok(db.prepare_cached(sql)?.query_row([kind], |row| row.get(0))?))
    }

    fn totals(&self) -> Result<Totals> {
        self.0.read(|db| {
            let sql =
                "SELECT kind, count(*) FROM records WHERE state = 0 GROUP BY kind ORDER BY kind";
            let mut query = db.prepare_cached(sql)?;
            let kinds = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let kinds = kinds.collect::<rusqlite::Result<_>>()?;
            let sql = "SELECT count(*), ifnull(sum(payload_len), 0) FROM \
                       (SELECT DISTINCT payload, payload_len FROM records WHERE state = 0)";
            let (payloads, bytes) = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Totals { kinds, payloads, bytes })
        })
    }

    fn damage(&self) -> Result<Option<String>> {
        match self.0.verify() {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }

    fn faults(&self) -> Result<Vec<String>> {
        self.0.read(|db| {
            let mut faults = Vec::new();
            let strays = "SELECT count(*) FROM edges WHERE child NOT IN (SELECT id FROM records)";
            let lost = "SELECT count(*) FROM records WHERE json_valid(provenance) AND \
                        json_array_length(provenance, '$.inputs') <> (SELECT count(*) FROM edges WHERE child = id)";
            for (sql, what) in [(strays, "inputs belong to no record"), (lost, "records have lost inputs")] {
                let count: u64 = db.query_row(sql, [], |row| row.get(0))?;
                if count > 0 {
                    faults.push(format!("{count} {what}"));
                }
            }
            Ok(faults)
        })
    }
}

fn select<'a>(db: &'a Connection, condition: &str) -> rusqlite::Result<CachedStatement<'a>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM records WHERE {condition}"))
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

/// The one record that fulfils the condition.
fn one(db: &Connection, condition: &str, params: impl Params) -> Attempt<Option<Arc<Row>>> {
    let mut query = select(db, condition)?;
    let mut rows = query.query(params)?;
    let row = rows.next()?.map(read).transpose();
    Ok(row.map_err(|damaged| damaged.error)?)
}

fn by_provenance(db: &Connection, kind: &str, key: &Digest) -> Attempt<Option<Arc<Row>>> {
    one(db, "key = ?1 AND kind = ?2 AND state = 0", params![key.as_bytes(), kind])
}

fn read(row: &rusqlite::Row<'_>) -> Result<Arc<Row>, Damaged> {
    match columns(row) {
        Ok(found) if found.is_sound() => Ok(Arc::new(found)),
        Ok(_) => Err(Damaged::new(id(row))),
        Err(odd) => {
            let damaged = Damaged::new(id(row));
            Err(Damaged { error: damaged.error.with_source(odd), ..damaged })
        }
    }
}

/// The id as it is kept, whatever that is.
fn id<'a>(row: &'a rusqlite::Row<'_>) -> &'a [u8] {
    row.get_ref(0).ok().and_then(|id| id.as_bytes().ok()).unwrap_or_default()
}

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: Id::from_bytes(row.get(0)?),
        kind: Cow::Owned(row.get(1)?),
        version: row.get(2)?,
        created_at: row.get(3)?,
        key: get::<Option<[u8; 32]>>(row, 4)?.map(Digest::from),
        provenance: row.get(5)?,
        payload: Digest::from(get::<[u8; 32]>(row, 6)?),
        payload_len: row.get(7)?,
        summary: row.get(8)?,
        checksum: row.get(9)?,
    })
}

fn get<T: FromSql>(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get(column)
}

fn insert(tx: &Transaction<'_>, row: &Row, draft: &Draft) -> rusqlite::Result<()> {
    let sql = "INSERT INTO records (id, kind, version, created_at, stored_at, key, operation, provenance, payload, \
               payload_len, summary, cost, checksum) VALUES (:id, :kind, :version, :created_at, :created_at, :key, \
               :operation, :provenance, :payload, :payload_len, :summary, :cost, :checksum)";
    let keyed = draft.provenance.as_ref();
    tx.prepare_cached(sql)?.execute(named_params! {
        ":id": row.id.as_bytes(),
        ":kind": row.kind,
        ":version": row.version,
        ":created_at": row.created_at,
        ":key": row.key.as_ref().map(Digest::as_bytes),
        ":operation": keyed.map(|keyed| keyed.provenance.operation()),
        ":provenance": row.provenance,
        ":payload": row.payload.as_bytes(),
        ":payload_len": row.payload_len,
        ":summary": row.summary,
        ":cost": cost(draft),
        ":checksum": row.checksum,
    })?;
    keyed.map_or(Ok(()), |keyed| insert_edges(tx, row.id, keyed))
}

fn insert_edges(tx: &Transaction<'_>, child: Id, keyed: &Keyed) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO edges (child, position, role, parent, content) VALUES (?, ?, ?, ?, ?)",
    )?;
    for (position, input) in keyed.provenance.inputs().iter().enumerate() {
        let (parent, content) = match input.source() {
            Source::Record(id) => (Some(id.as_bytes()), None),
            Source::Content(digest) => (None, Some(digest.as_bytes())),
        };
        insert.execute(params![child.as_bytes(), position, input.role(), parent, content])?;
    }
    Ok(())
}

fn replace(tx: &Transaction<'_>, row: &Row, draft: &Draft) -> rusqlite::Result<()> {
    let sql = "UPDATE records SET version = :version, stored_at = :stored_at, payload = :payload, \
               payload_len = :payload_len, summary = :summary, cost = :cost, checksum = :checksum WHERE id = :id";
    tx.prepare_cached(sql)?.execute(named_params! {
        ":id": row.id.as_bytes(),
        ":version": row.version,
        ":stored_at": time::now_ns(),
        ":payload": row.payload.as_bytes(),
        ":payload_len": row.payload_len,
        ":summary": row.summary,
        ":cost": cost(draft),
        ":checksum": row.checksum,
    })?;
    Ok(())
}

/// Nanoseconds; what takes longer than an `i64` holds, 292 years, counts as that.
fn cost(draft: &Draft) -> Option<i64> {
    draft.cost.map(|cost| i64::try_from(cost.as_nanos()).unwrap_or(i64::MAX))
}
