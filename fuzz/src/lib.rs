//! What the targets share.
//!
//! Scratch directories come from `tempfile`, so `TMPDIR` says where: `cargo xtask fuzz` names one in memory and removes
//! it after the run, for a fuzzer ends without dropping anything.

use std::path::Path;

use larder_storage::{Error, ErrorKind};
use rusqlite::{Connection, ToSql, types::Value};

/// What may be wrong with a database, or with a row of one, that was changed behind a store's back.
pub const DAMAGE: &[ErrorKind] = &[ErrorKind::Corrupt, ErrorKind::Format];

/// Panics where an error is not of a kind that the documentation names.
#[track_caller]
pub fn expect(error: &Error, kinds: &[ErrorKind]) {
    assert!(
        kinds.contains(&error.kind()),
        "{:?} is not documented: {}",
        error.kind(),
        error.chain()
    );
}

/// The value, unless there is an error of one of these kinds.
#[track_caller]
pub fn allow<T>(result: larder_storage::Result<T>, kinds: &[ErrorKind]) -> Option<T> {
    result.inspect_err(|error| expect(error, kinds)).ok()
}

/// Two inputs in one: the length of the first as a little-endian `u16`, the first, the second.
pub fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = data.split_first_chunk()?;
    rest.split_at_checked(u16::from_le_bytes(*len).into())
}

/// A column, by its number, and what it is to hold.
pub type Change = (usize, Value);

/// A list of changes: the number of the column, the type (0 NULL, 1 INTEGER, 2 REAL, 3 TEXT, 4 BLOB), the length of the
/// value, one byte each, and the value.
pub fn changes(mut data: &[u8]) -> Vec<Change> {
    let mut changes = Vec::new();
    while let Some((&[column, kind, len], rest)) = data.split_first_chunk() {
        let (value, rest) = rest.split_at(rest.len().min(len.into()));
        changes.push((column.into(), sql_value(kind, value)));
        data = rest;
    }
    changes
}

fn sql_value(kind: u8, bytes: &[u8]) -> Value {
    let mut number = [0; 8];
    let len = bytes.len().min(8);
    number[..len].copy_from_slice(&bytes[..len]);
    match kind % 5 {
        0 => Value::Null,
        1 => Value::Integer(i64::from_le_bytes(number)),
        2 => Value::Real(f64::from_le_bytes(number)),
        3 => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        _ => Value::Blob(bytes.to_vec()),
    }
}

/// A database that a store has open, whose rows are changed behind its back and put right again.
pub struct Rows {
    db: Connection,
    tables: Vec<&'static str>,
    /// Each as `table.column`.
    columns: &'static [&'static str],
}

impl Rows {
    /// Remembers the rows as they are.
    pub fn open(path: &Path, columns: &'static [&'static str]) -> Self {
        let mut tables: Vec<_> = columns.iter().map(|column| split_name(column).0).collect();
        tables.dedup();
        let db = Connection::open(path).unwrap();
        // What a damaged disk breaks, no constraint guards.
        db.execute_batch("PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
        for table in &tables {
            db.execute_batch(&format!(
                "CREATE TEMP TABLE saved_{table} AS SELECT * FROM main.{table}"
            ))
            .unwrap();
        }
        Self { db, tables, columns }
    }

    /// Makes the changes that SQLite lets through; whether there were any.
    pub fn change(&self, changes: &[Change]) -> bool {
        let change = |(column, value): &Change| {
            let (table, column) = split_name(self.columns[column % self.columns.len()]);
            self.execute(&format!("UPDATE {table} SET {column} = ?1"), &[value])
        };
        changes.iter().map(change).fold(false, |any, changed| any | changed)
    }

    /// Runs one statement, unless SQLite refuses it; whether it changed anything.
    pub fn execute(&self, sql: &str, params: &[&dyn ToSql]) -> bool {
        self.db.prepare_cached(sql).unwrap().execute(params).is_ok_and(|changed| changed > 0)
    }

    /// The connection, to look at what is stored.
    pub fn db(&self) -> &Connection {
        &self.db
    }

    /// Puts every row back.
    pub fn restore(&self) {
        for table in &self.tables {
            self.db
                .execute_batch(&format!(
                    "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved_{table}"
                ))
                .unwrap();
        }
    }
}

fn split_name(column: &'static str) -> (&'static str, &'static str) {
    column.split_once('.').unwrap()
}
