//! What differs between two SQLite databases.

use std::{collections::BTreeSet, fs};

use rusqlite::{
    Connection, Row,
    types::{Value, ValueRef},
};

/// The tables and columns, as `table.column`, that the second database does not hold as the first one does. Nothing
/// where only free space or SQLite's own bookkeeping differs.
pub(super) fn changes(whole: &[u8], damaged: &[u8]) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        Connection::open(path).unwrap()
    };
    let (whole, damaged) = (open("whole", whole), open("damaged", damaged));
    let tables =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%'";
    let mut tables = whole.prepare(tables).unwrap();
    let names = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    names.flat_map(|name| table_changes(&whole, &damaged, &name.unwrap())).collect()
}

fn table_changes(whole: &Connection, damaged: &Connection, table: &str) -> BTreeSet<String> {
    let columns = whole.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns: Vec<_> = columns.column_names().map(str::to_owned).collect();
    let (Ok(expected), Ok(found)) = (rows(whole, table), rows(damaged, table)) else {
        return [format!("{table} (unreadable)")].into();
    };
    if expected.len() != found.len() {
        return [format!("{table} (rows)")].into();
    }
    let pairs = expected.iter().flatten().zip(found.iter().flatten()).enumerate();
    pairs
        .filter(|(_, (a, b))| a != b)
        .map(|(at, _)| format!("{table}.{}", columns[at % columns.len()]))
        .collect()
}

fn rows(db: &Connection, table: &str) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut query = db.prepare(&format!("SELECT * FROM {table} NOT INDEXED"))?;
    let columns = query.column_count();
    let value = |row: &Row<'_>, at| match row.get_ref(at)? {
        // Damaged text may be none.
        ValueRef::Text(text) => Ok(Value::Blob(text.to_vec())),
        other => Ok(other.try_into()?),
    };
    query.query_map([], |row| (0..columns).map(|at| value(row, at)).collect())?.collect()
}
