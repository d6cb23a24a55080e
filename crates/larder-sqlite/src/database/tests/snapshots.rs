//! Snapshots that stay open, and databases that may only be read.

use super::*;

fn seen(database: &Database) -> i64 {
    let count = |db: &Connection| db.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
    database.snapshot(|db| Ok(count(db)?)).unwrap()
}

/// Whether the log can be emptied, which no snapshot may still need then.
fn is_log_free(database: &Database) -> bool {
    let writing = database.writing.as_ref().unwrap();
    let busy: i64 = lock(&writing.writer)
        .connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)
        })
        .unwrap();
    busy == 0
}

#[test]
fn a_snapshot_shows_what_any_process_wrote_before_it_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let (one, other) = (open_test(&path).unwrap(), open_test(&path).unwrap());
    for written in 0..20 {
        assert_eq!((seen(&one), seen(&one), seen(&other)), (written, written, written));
        insert(if written % 2 == 0 { &one } else { &other }, 1);
    }
    assert_eq!(count(&one), 20, "reads without one end it");
}

#[test]
fn during_a_write_a_snapshot_is_one_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    assert_eq!(seen(&database), 0);
    let mut turn = database.turn().unwrap();
    turn.transact(|tx| Ok(tx.execute("INSERT INTO t (v) VALUES (x'00')", [])?)).unwrap();
    assert_eq!(seen(&database), 1, "written, though the turn lasts");
    turn.transact(|tx| Ok(tx.execute("INSERT INTO t (v) VALUES (x'00')", [])?)).unwrap();
    assert_eq!(seen(&database), 2);
}

#[test]
fn a_snapshot_that_nobody_uses_keeps_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let (reader, writer) = (open_test(&path).unwrap(), open_test(&path).unwrap());
    seen(&reader);
    insert(&writer, 10);
    assert!(!is_log_free(&writer), "the snapshot is still of the state before");
    reader.readers.end_unused();
    assert!(!is_log_free(&writer), "it was used since the last look");
    reader.readers.end_unused();
    assert!(is_log_free(&writer));
    assert_eq!(seen(&reader), 10);
}

#[test]
fn a_thread_ends_what_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let (reader, writer) = (open_test(&path).unwrap(), open_test(&path).unwrap());
    for _ in 0..2 {
        seen(&reader);
        insert(&writer, 10);
        assert!(!is_log_free(&writer));
        let asked = Instant::now();
        while !is_log_free(&writer) {
            assert!(asked.elapsed() < Duration::from_secs(60), "the snapshot is still there");
            thread::yield_now();
        }
    }
}

#[test]
fn own_writes_end_own_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    seen(&database);
    insert(&database, 10);
    assert!(is_log_free(&database));
}

#[test]
fn work_that_fails_leaves_no_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    let failed = database.snapshot(|db| Ok(db.execute("DELETE FROM t", [])?));
    assert!(failed.is_err());
    insert(&database, 1);
    assert_eq!(seen(&database), 1);
}

#[test]
fn threads_share_snapshots_and_see_each_write() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let before = seen(&database);
                    insert(&database, 1);
                    assert!(seen(&database) > before);
                }
            });
        }
    });
    assert_eq!(seen(&database), 200);
}

/// Opens the database as it is where the directory may not be written.
fn to_read(path: &Path) -> Result<Readers> {
    open::first_to_read(path, &SCHEMA)
}

#[test]
fn what_may_only_be_read_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("50% of what? #1.sqlite");
    insert(&open_test(&path).unwrap(), 3);
    let before: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    let readers = to_read(&path).unwrap();
    let count = |db: &Connection| -> Attempt<i64> {
        Ok(db.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)
    };
    assert_eq!(readers.snapshot(Some(0), count).unwrap(), 3);
    let after: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(before, after);
    let other = Schema { version: 4, ..SCHEMA };
    assert_eq!(open::first_to_read(&path, &other).unwrap_err().kind(), ErrorKind::Format);
}

#[test]
fn what_was_not_closed_cannot_be_read_without_writing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let database = open_test(&path).unwrap();
    insert(&database, 3);
    let error = to_read(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("not closed"), "{error}");
}

#[test]
fn what_may_be_written_is_opened_for_writing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let database = Database::open_or_read(&path, &SCHEMA, Durability::Process).unwrap();
    assert!(!database.is_read_only());
    insert(&database, 1);
}
