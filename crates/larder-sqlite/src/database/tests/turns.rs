//! Turns at writing.

use super::*;

/// What writing ends with as soon as it is noticed that something is gone.
fn refused(database: &Database) -> ErrorKind {
    loop {
        if let Err(error) = database.write(|tx| Ok(tx.execute("UPDATE t SET v = v", [])?)) {
            return error.kind();
        }
    }
}

#[test]
fn nothing_is_written_to_a_database_that_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let database = open_test(&path).unwrap();
    insert(&database, 1);
    publish::set_aside(&path, &dir.path().join("aside")).unwrap();
    let write = || database.write(|tx| Ok(tx.execute("DELETE FROM t WHERE k = 1", [])?));
    assert_eq!(refused(&database), ErrorKind::NotFound);
    publish::set_aside(&dir.path().join("aside"), &path).unwrap();
    assert_eq!(write().unwrap(), 1);
}

#[test]
fn nothing_is_written_where_others_could_wait_in_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let database = open_test(&path).unwrap();
    insert(&database, 1);
    fs::remove_file(open::beside(&path, ".write")).unwrap();
    assert_eq!(refused(&database), ErrorKind::NotFound);
    drop(database);
    assert_eq!(count(&open_test(&path).unwrap()), 1);
}

#[test]
fn the_state_changes_with_every_write_of_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let (one, other) = (open_test(&path).unwrap(), open_test(&path).unwrap());
    let before = one.state();
    insert(&other, 1);
    assert_ne!(one.state(), before);
    let mut turn = one.turn().unwrap();
    turn.transact(|_| Ok(())).unwrap();
    let (during, span) = (other.state(), turn.span());
    drop(turn);
    assert_eq!((during, other.state()), (None, Some(span.end)));
    one.write(|_| Err::<(), _>(Error::new(ErrorKind::Invalid, "no").into())).unwrap_err();
    let before = other.state();
    assert_ne!(before, None);
    let mut turn = one.turn().unwrap();
    turn.keep_state();
    assert_eq!(other.state(), None);
    drop(turn);
    assert_eq!(other.state(), before);
}

#[test]
fn a_database_opens_while_another_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let database = open_test(&path).unwrap();
    let turn = database.turn().unwrap();
    let other = open_test(&path).unwrap();
    assert_eq!(count(&other), 0);
    assert!(database.try_turn().unwrap().is_none() && other.try_turn().unwrap().is_none());
    drop(turn);
    assert!(other.try_turn().unwrap().is_some() && database.try_turn().unwrap().is_some());
}

#[test]
fn the_log_of_a_large_transaction_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sqlite");
    let database = open_test(&path).unwrap();
    insert(&database, 40_000);
    let log = || fs::metadata(open::beside(&path, "-wal")).unwrap().len();
    assert!(log() > open::LOG_BYTES, "{}", log());
    insert(&database, 1);
    assert!(log() <= open::LOG_BYTES, "{}", log());
}

#[test]
fn work_that_fails_changes_nothing_and_keeps_its_error() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    let outcome: Result<()> = database.write(|tx| {
        tx.execute("INSERT INTO t (v) VALUES (x'00')", [])?;
        Err(Error::new(ErrorKind::Conflict, "on second thought").into())
    });
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(count(&database), 0);
}

#[test]
fn a_panic_inside_rolls_back_and_leaves_the_database_usable() {
    let dir = tempfile::tempdir().unwrap();
    let database = open_test(&dir.path().join("a.sqlite")).unwrap();
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            database.write(|tx| -> Attempt<()> {
                tx.execute("INSERT INTO t (v) VALUES (x'00')", [])?;
                panic!("on purpose")
            })
        });
        assert!(worker.join().is_err());
    });
    insert(&database, 2);
    assert_eq!(count(&database), 2);
}
