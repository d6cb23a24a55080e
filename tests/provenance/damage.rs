//! Rows of the index that hold something else: they are told, what is read is what was stored or nothing, and the storage
//! has all of it.

use larder::provenance::{Id, Provenance};
use larder_storage::{Durability, ErrorKind, Result};
use rusqlite::Connection;

use super::changes::{Store, content, open};

/// A table, what its rows are made to hold, and whether the check of everything tells it.
const DAMAGE: [(&str, &str, bool); 27] = [
    ("records", "id = randomblob(16)", true),
    ("records", "id = x'0001'", true),
    ("records", "kind = 'other'", true),
    ("records", "state = 1", true),
    ("records", "state = 3", true),
    ("records", "state = 77", true),
    ("records", "key = NULL", true),
    ("records", "key = randomblob(32)", true),
    ("records", "key = x'00'", true),
    ("records", "operation = 'x'", true),
    ("records", "operation = NULL", true),
    ("records", "payload = randomblob(32)", true),
    ("records", "payload_len = payload_len + 1", true),
    ("records", "payload_len = -1", true),
    ("records", "record = replace(record, 'live', 'lime')", true),
    ("records", "record = CAST(x'ff' AS TEXT)", true),
    // As if it had been read from the storage, or had still to be published.
    ("records", "modified = 1", false),
    ("records", "modified = -1", false),
    ("records", "id = x'0001', modified = -1", true),
    ("records", "record = CAST(x'ff' AS TEXT), modified = -1", true),
    ("edges", "source = randomblob(16)", true),
    ("edges", "source = x'0001'", true),
    ("edges", "child = randomblob(16)", true),
    ("edges", "child = x'0001'", true),
    ("tags", "tag = 'x'", true),
    ("tags", "id = randomblob(16)", true),
    ("tags", "id = x'0001'", true),
];

struct Family {
    made: [Provenance; 2],
    ids: [Id; 2],
}

impl Family {
    /// A result and what is made from it, both with tags.
    fn of(store: &Store) -> Self {
        let put = |made: &Provenance| {
            let id = store.put(content(made.operation(), 0), Some(made.clone())).unwrap();
            store.tag(id, "release").unwrap();
            id
        };
        let a = Provenance::new("a");
        let b = Provenance::new("b").input(put(&a));
        Self { ids: [put(&a), put(&b)], made: [a, b] }
    }

    /// What is read is what was stored, or nothing, or an error that says so.
    fn is_never_wrong(&self, store: &Store, what: &str) {
        for (id, made) in self.ids.iter().zip(&self.made) {
            if let Some(found) = allow(store.find(made), what).flatten() {
                assert_eq!(found, *id, "{what}");
            }
            if let Some(stored) = allow(store.get(*id), what).flatten() {
                assert_eq!(stored.payload, content(made.operation(), 0), "{what}");
                assert_eq!(stored.provenance.as_ref(), Some(made), "{what}");
            }
        }
        store.records().for_each(|record| _ = allow(record, what));
        allow(store.status(), what);
        allow(store.descendants(self.ids[0]).collect::<Result<Vec<_>>>(), what);
        allow(store.tagged("release"), what);
    }

    fn is_whole(&self, store: &Store, what: &str) {
        let report = store.verify().unwrap();
        assert!(report.is_clean() && report.records == 2, "{what}: {report:?}");
        for (id, made) in self.ids.iter().zip(&self.made) {
            assert_eq!(store.find(made).unwrap(), Some(*id), "{what}");
        }
        assert_eq!(store.path(self.ids[0], self.ids[1]).unwrap().map(|it| it.len()), Some(2));
        assert_eq!(store.tagged("release").unwrap(), self.ids, "{what}");
    }
}

/// The value, unless something is told to be damaged.
#[track_caller]
fn allow<T>(outcome: Result<T>, what: &str) -> Option<T> {
    let told = |error: &larder_storage::Error| {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
    };
    outcome.inspect_err(told).ok()
}

#[test]
fn a_row_that_holds_something_else_is_told_and_made_again() {
    for (table, change, is_told) in DAMAGE {
        // Of one row, and of all that it can be done to.
        for of in ["(SELECT max(rowid) FROM records)", "rowid"] {
            let of = if table == "records" { format!("WHERE rowid = {of}") } else { String::new() };
            let sql = format!("UPDATE OR IGNORE {table} SET {change} {of}");
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path(), Durability::Scratch).unwrap();
            let family = Family::of(&store);
            drop(store);
            let database = dir.path().join(".larder/provenance.sqlite");
            Connection::open(database).unwrap().execute(&sql, []).unwrap();

            let store = open(dir.path(), Durability::Scratch).unwrap();
            assert_eq!(store.verify().unwrap().is_clean(), !is_told, "{sql}");
            family.is_never_wrong(&store, &sql);
            assert_eq!(store.reindex().unwrap().problems, [], "{sql}");
            family.is_whole(&store, &sql);
        }
    }
}
