use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    sync::Barrier,
    thread,
};

use super::*;
use crate::{readers::IDLE_READERS, repair};

mod snapshots;
mod turns;

const SCHEMA: Schema = Schema {
    application_id: 0x4c5f_7473,
    version: 3,
    derived: false,
    create: "CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB) STRICT",
    rules: &[("SELECT 1 FROM t WHERE v = x'bad0'", "a bad value is in it")],
};

fn open_test(path: &Path) -> Result<Database> {
    Database::open(path, &SCHEMA, Durability::Process)
}

fn count(database: &Database) -> i64 {
    database.read(|db| Ok(db.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)).unwrap()
}

fn insert(database: &Database, rows: u32) {
    let insert = |tx: &Transaction<'_>| -> Attempt<()> {
        for _ in 0..rows {
            tx.execute("INSERT INTO t (v) VALUES (randomblob(1000))", [])?;
        }
        Ok(())
    };
    database.write(insert).unwrap();
}

/// Overwrites bytes of a closed database.
fn damage(path: &Path, offset: u64, len: usize) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(&vec![0xa5; len]).unwrap();
}

#[test]
fn is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Database>();
}

#[test]
fn a_hundred_races_for_the_first_open_have_no_loser() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..100 {
        let path = dir.path().join(format!("{round}/.larder/a.sqlite"));
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    insert(&open_test(&path).unwrap(), 1);
                });
            }
        });
        assert_eq!(count(&open_test(&path).unwrap()), 4);
    }
}

#[test]
fn what_reads_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    assert!(database.read(|db| Ok(db.execute("DELETE FROM t", [])?)).is_err());
}

#[test]
fn a_damaged_file_is_named_kept_and_moved_aside_only_by_repair() {
    for (offset, len) in [(0, 100), (4096, 4096)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sqlite");
        insert(&open_test(&path).unwrap(), 20);
        damage(&path, offset, len);
        let before = fs::read(&path).unwrap();

        let error = open_test(&path).and_then(|database| database.verify()).unwrap_err();
        assert_eq!(error.chain().to_string().lines().count(), 1, "{error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        assert!(error.to_string().contains("a.sqlite"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before, "nothing is changed by looking");

        let aside = repair(&path, &SCHEMA).unwrap().expect("it was damaged");
        assert_eq!(fs::read(aside).unwrap(), before);
        assert_eq!(count(&open_test(&path).unwrap()), 0);
        assert_eq!(repair(&path, &SCHEMA).unwrap(), None, "the new one is sound");
    }
}

#[test]
fn a_file_emptied_by_something_else_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    insert(&open_test(&path).unwrap(), 1);
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert_eq!(open_test(&path).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(repair(&path, &SCHEMA).unwrap().is_some());
    assert_eq!(count(&open_test(&path).unwrap()), 0);
}

#[test]
fn what_a_kill_during_creation_leaves_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    fs::File::create(&path).unwrap();
    assert_eq!(count(&open_test(&path).unwrap()), 0);
}

#[test]
fn a_foreign_or_future_database_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    insert(&open_test(&path).unwrap(), 5);
    let future = Schema { version: 2, ..SCHEMA };
    let foreign = Schema { application_id: 1, ..SCHEMA };
    for schema in [future, foreign] {
        let error = Database::open(&path, &schema, Durability::Process).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{error}");
        assert_eq!(repair(&path, &schema).unwrap_err().kind(), ErrorKind::Format);
    }
    assert_eq!(count(&open_test(&path).unwrap()), 5);

    let theirs = dir.path().join("theirs.sqlite");
    Connection::open(&theirs).unwrap().execute_batch("CREATE TABLE precious (x)").unwrap();
    assert_eq!(open_test(&theirs).unwrap_err().kind(), ErrorKind::Format);
}

#[test]
fn repair_waits_for_nobody_and_takes_nothing_from_under_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    assert_eq!(repair(&path, &SCHEMA).unwrap(), None, "there is none");
    let database = open_test(&path).unwrap();
    assert_eq!(repair(&path, &SCHEMA).unwrap_err().kind(), ErrorKind::Locked);
    insert(&database, 1);
}

#[test]
fn a_path_that_cannot_be_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::File::create(&file).unwrap();
    for path in [file.join("a.sqlite"), dir.path().to_owned()] {
        let error = open_test(&path).unwrap_err();
        assert_eq!(error.to_string().lines().count(), 1);
        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    }
}

#[test]
fn a_copy_without_a_log_gets_one() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("a.sqlite"), dir.path().join("copy.sqlite"));
    let database = open_test(&path).unwrap();
    let vacuum = format!("VACUUM INTO '{}'", copy.display());
    lock(&database.writing.as_ref().unwrap().writer).connection.execute_batch(&vacuum).unwrap();
    let mode = |database: &Database| {
        let mode = |db: &Connection| db.pragma_query_value(None, "journal_mode", |row| row.get(0));
        database.read(|db| Ok(mode(db)?)).unwrap()
    };
    let copy: String = mode(&open_test(&copy).unwrap());
    assert_eq!(copy, "wal");
}

#[cfg(unix)]
#[test]
fn a_database_in_use_by_a_link_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let (path, link) = (dir.path().join("a.sqlite"), dir.path().join("b/link.sqlite"));
    drop(open_test(&path).unwrap());
    fs::create_dir(dir.path().join("b")).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let database = open_test(&link).unwrap();
    assert_eq!(repair(&path, &SCHEMA).unwrap_err().kind(), ErrorKind::Locked);
    drop(database);
    assert_eq!(repair(&path, &SCHEMA).unwrap(), None);
}

#[test]
fn a_file_that_never_was_a_database_is_foreign_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap()
        .write_all(&[b'x'; 5000])
        .unwrap();
    assert_eq!(open_test(&path).unwrap_err().kind(), ErrorKind::Format);
    assert_eq!(repair(&path, &SCHEMA).unwrap_err().kind(), ErrorKind::Format);
    assert_eq!(fs::read(&path).unwrap().len(), 5000);
}

#[test]
fn connections_of_many_readers_at_once_are_not_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    let together = Barrier::new(40);
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| database.read(|_| Ok(together.wait())).unwrap());
        }
    });
    assert!(database.readers.idle() <= IDLE_READERS);
}

#[test]
fn tables_that_are_not_those_of_the_schema_are_damage() {
    for change in ["ALTER TABLE t RENAME v TO w", "CREATE VIEW more AS SELECT 1", "DROP TABLE t"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sqlite");
        let database = open_test(&path).unwrap();
        database.verify().unwrap();
        database.write(|tx| Ok(tx.execute_batch(change)?)).unwrap();
        assert_eq!(database.verify().unwrap_err().kind(), ErrorKind::Corrupt, "{change}");
        drop(database);
        repair(&path, &SCHEMA).unwrap().expect("it was damaged");
    }
}

/// Else a store would come upon it after it wrote.
#[test]
fn a_database_without_its_tables_is_refused_and_not_written_to() {
    for mode in ["DELETE", "WAL"] {
        for change in ["DROP TABLE t", "ALTER TABLE t RENAME v TO w"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.sqlite");
            insert(&open_test(&path).unwrap(), 1);
            let sql = format!("{change}; PRAGMA journal_mode = {mode}");
            Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
            let before = fs::read(&path).unwrap();
            let error = open_test(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{sql}: {error}");
            assert_eq!(fs::read(&path).unwrap(), before, "{sql}");
            let aside = repair(&path, &SCHEMA).unwrap().expect("it was damaged");
            assert_eq!(fs::read(aside).unwrap(), before, "{sql}");
        }
    }
}

#[test]
fn a_database_that_only_a_newer_sqlite_may_write_is_read_and_no_matter_of_permissions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    insert(&open_test(&path).unwrap(), 1);
    // The version of SQLite's own format that it takes to write.
    damage(&path, 18, 1);
    let database = open_test(&path).unwrap();
    assert_eq!(count(&database), 1);
    let written = database.write(|tx| Ok(tx.execute("DELETE FROM t", [])?));
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Format);
}

#[test]
fn what_somebody_added_to_the_tables_keeps_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    insert(&open_test(&path).unwrap(), 1);
    Connection::open(&path).unwrap().execute_batch("CREATE INDEX more ON t (v)").unwrap();
    let database = open_test(&path).unwrap();
    assert_eq!(count(&database), 1);
    assert_eq!(database.verify().unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_rule_that_does_not_hold_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let database = open_test(&path).unwrap();
    database.write(|tx| Ok(tx.execute("INSERT INTO t (v) VALUES (x'bad0')", [])?)).unwrap();
    let error = database.verify().unwrap_err();
    assert!(error.to_string().contains("a bad value is in it"), "{error}");
    drop(database);
    repair(&path, &SCHEMA).unwrap().expect("it was damaged");
}

#[test]
fn a_value_that_was_never_written_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    insert(&database, 1);
    let read =
        |sql: &str| database.read(|db| Ok(db.query_row(sql, [], |row| row.get::<_, u64>(0))?));
    for sql in ["SELECT -1 FROM t", "SELECT v FROM t", "SELECT 'x' FROM t"] {
        assert_eq!(read(sql).unwrap_err().kind(), ErrorKind::Corrupt, "{sql}");
    }
}

#[test]
fn a_file_cut_short_in_a_long_value_is_damaged_and_no_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let database = open_test(&path).unwrap();
    let long = "INSERT INTO t (v) VALUES (zeroblob(100000))";
    database.write(|tx| Ok(tx.execute(long, [])?)).unwrap();
    drop(database);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 100).unwrap();

    let database = open_test(&path).unwrap();
    let read = database
        .read(|db| Ok(db.query_row("SELECT v FROM t", [], |row| row.get::<_, Vec<u8>>(0))?));
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(database.verify().unwrap_err().kind(), ErrorKind::Corrupt);
    drop(database);
    assert!(repair(&path, &SCHEMA).unwrap().is_some());
}

#[test]
fn a_database_that_was_taken_away_is_not_made_anew_by_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let database = open_test(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let read = database.read(|db| Ok(db.query_row("SELECT 1", [], |row| row.get::<_, i64>(0))?));
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Io);
    assert!(!path.exists());
}

#[test]
fn a_relative_path_is_taken_from_where_it_was_opened() {
    let here = std::env::current_dir().unwrap();
    assert_eq!(open::absolute(Path::new("a/b.sqlite")).unwrap(), here.join("a/b.sqlite"));
}

#[test]
fn the_mark_is_made_up_for_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    insert(&open_test(&path).unwrap(), 1);
    OpenOptions::new().write(true).open(open::beside(&path, ".init")).unwrap().set_len(0).unwrap();
    drop(open_test(&path).unwrap());
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert_eq!(open_test(&path).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_log_without_its_database_is_kept_and_moved_aside_by_repair() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let (log, kept) = (open::beside(&path, "-wal"), dir.path().join("kept"));
    let database = open_test(&path).unwrap();
    insert(&database, 20);
    fs::copy(&log, &kept).unwrap();
    drop(database);
    fs::remove_file(&path).unwrap();
    fs::copy(&kept, &log).unwrap();

    assert_eq!(open_test(&path).unwrap_err().kind(), ErrorKind::Corrupt);
    let aside = repair(&path, &SCHEMA).unwrap().expect("a log was left");
    assert_eq!(fs::read(open::beside(&aside, "-wal")).unwrap(), fs::read(&kept).unwrap());
    assert_eq!(count(&open_test(&path).unwrap()), 0);
}

#[test]
fn a_transaction_left_open_by_a_reader_shows_nobody_an_old_state() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    database.read(|db| Ok(db.execute_batch("BEGIN; SELECT count(*) FROM t")?)).unwrap();
    insert(&database, 1);
    assert_eq!(count(&database), 1);
}

#[test]
fn no_writer_starves() {
    const WRITES: usize = 200;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let start = Barrier::new(4);
    let longest = thread::scope(|scope| {
        let work = || {
            let database = open_test(&path).unwrap();
            start.wait();
            let write = |_| {
                let asked = std::time::Instant::now();
                insert(&database, 1);
                asked.elapsed()
            };
            (0..WRITES).map(write).max().unwrap()
        };
        let writers = [(); 4].map(|()| scope.spawn(work));
        writers.map(|writer| writer.join().unwrap()).into_iter().max().unwrap()
    });
    assert_eq!(count(&open_test(&path).unwrap()), 4 * WRITES as i64);
    assert!(longest < std::time::Duration::from_secs(5), "one waited {longest:?}");
}

#[test]
fn a_database_that_is_gone_is_damage_unless_it_can_be_derived() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    insert(&open_test(&path).unwrap(), 1);
    fs::remove_file(&path).unwrap();
    assert_eq!(open_test(&path).unwrap_err().kind(), ErrorKind::Corrupt);
    let derived = Schema { derived: true, ..SCHEMA };
    assert_eq!(count(&Database::open(&path, &derived, Durability::Process).unwrap()), 0);

    fs::remove_file(&path).unwrap();
    assert_eq!(repair(&path, &SCHEMA).unwrap(), None, "nothing is left to move");
    assert_eq!(count(&open_test(&path).unwrap()), 0);
}
