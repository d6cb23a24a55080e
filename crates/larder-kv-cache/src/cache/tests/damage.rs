use std::{
    fs::OpenOptions,
    io::{Seek, SeekFrom, Write},
};

use super::*;

#[test]
fn a_flipped_bit_in_a_value_is_named_and_spoils_no_other_key() {
    let (dir, cache) = fresh();
    cache.set_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
    let path = cache.path().to_owned();
    drop(cache);
    sql(&path, "UPDATE entry SET value = '6' WHERE key = 'b'");

    let cache = open(dir.path(), "genes");
    let error = cache.get::<u8>("b").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.to_string().contains("\"b\"") && error.to_string().contains("\"genes\""),
        "{error}"
    );
    assert_eq!(cache.get_many::<u8>(&["a", "b"]).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(cache.get_many(&["a", "c"]).unwrap(), [Lookup::Hit(1), Lookup::Hit(3)]);
    assert_eq!(cache.hits_and_misses(&["b"]).unwrap().0, ["b"], "values are not read");
    let report = cache.verify().unwrap();
    assert_eq!((report.entries, report.problems.len(), report.is_clean()), (3, 1, false));
    assert_eq!(report.problems[0].place, "b");

    cache.set("b", &20).unwrap();
    assert_eq!(cache.keys().unwrap(), ["a", "b", "c"]);
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn the_value_of_another_key_is_never_passed_off() {
    let (dir, cache) = fresh();
    cache.set_many([("a", 1), ("b", 2)]).unwrap();
    let path = cache.path().to_owned();
    drop(cache);
    sql(
        &path,
        "UPDATE entry SET (crc32c, value) = (SELECT crc32c, value FROM entry e WHERE e.key = 'b') WHERE key = 'a'",
    );
    let error = open(dir.path(), "genes").get::<u8>("a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn an_encoding_from_the_future_is_refused_and_kept() {
    let (dir, cache) = fresh();
    cache.set("a", &1).unwrap();
    let path = cache.path().to_owned();
    drop(cache);
    let crc = crate::value::checksum("a", 7, b"1");
    sql(&path, &format!("UPDATE entry SET encoding = 7, crc32c = {crc}"));
    let cache = open(dir.path(), "genes");
    let error = cache.get::<u8>("a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.to_string().contains("upgrade"), "{error}");
    assert!(cache.contains("a").unwrap());
}

#[test]
fn a_database_from_the_future_is_refused_and_kept() {
    let (dir, cache) = fresh();
    cache.set("a", &1).unwrap();
    let path = cache.path().to_owned();
    drop(cache);
    sql(&path, "PRAGMA user_version = 2");
    let error = KvCache::open(dir.path(), "genes", Options::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert_eq!(KvCache::repair(dir.path(), "genes").unwrap_err().kind(), ErrorKind::Format);
    sql(&path, "PRAGMA user_version = 1");
    assert_eq!(open(dir.path(), "genes").get("a").unwrap(), Lookup::Hit(1));
}

#[test]
fn a_damaged_database_is_never_replaced_by_an_empty_one() {
    let (dir, cache) = fresh();
    cache.set("a", &1).unwrap();
    let path = cache.path().to_owned();
    assert_eq!(
        KvCache::repair(dir.path(), "genes").unwrap_err().kind(),
        ErrorKind::Locked,
        "it is open"
    );
    drop(cache);
    flip(&path, 0, 0xff);
    let before = fs::read(&path).unwrap();
    let error = KvCache::open(dir.path(), "genes", Options::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let aside = KvCache::repair(dir.path(), "genes").unwrap().expect("it is damaged");
    assert_eq!(fs::read(aside).unwrap(), before);
    assert!(open(dir.path(), "genes").is_empty().unwrap());
    assert_eq!(KvCache::repair(dir.path(), "genes").unwrap(), None);
    assert_eq!(KvCache::namespaces(dir.path()).unwrap(), ["genes"]);
}

#[test]
fn damage_to_the_tables_themselves_is_reported() {
    let (dir, cache) = fresh();
    cache.set("a", &1).unwrap();
    let other = "DROP VIEW live_entry; CREATE VIEW live_entry AS SELECT * FROM entry WHERE id < 0";
    for change in [other, "DROP VIEW live_entry"] {
        sql(cache.path(), change);
        let report = cache.verify().unwrap();
        assert!(report.problems[0].what.contains("tables are not those"), "{change}: {report:?}");
        let error = KvCache::open(dir.path(), "genes", Options::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{change}: {error:?}");
    }
}

#[test]
fn a_number_that_cannot_be_is_damage_and_no_panic() {
    for statement in [
        "UPDATE meta SET value = 9223372036854775807",
        "UPDATE entry SET id = 9223372036854775807",
        "UPDATE meta SET value = 'text'",
    ] {
        let (dir, cache) = fresh();
        cache.set("a", &1).unwrap();
        let path = cache.path().to_owned();
        drop(cache);
        sql(&path, statement);
        let cache = open(dir.path(), "genes");
        assert_eq!(cache.set("b", &2).unwrap_err().kind(), ErrorKind::Corrupt, "{statement}");
    }
}

#[test]
fn reading_changes_no_byte() {
    let (dir, cache) = fresh();
    cache.set("a", &1).unwrap();
    let path = cache.path().to_owned();
    drop(cache);
    let before = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let cache = open(dir.path(), "genes");
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit(1));
    assert!(cache.verify().unwrap().is_clean());
    drop(cache);
    assert_eq!(
        (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap()),
        before
    );
}

/// Changes the bits of `mask` in one byte of a closed database.
fn flip(path: &Path, offset: u64, mask: u8) {
    let byte = fs::read(path).unwrap()[offset as usize] ^ mask;
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(&[byte]).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_flipped_bit_anywhere_gives_a_wrong_value(place in 0.0..1.0, bit in 0..8) {
        let (dir, cache) = fresh();
        let value = |n: usize| format!("{n}").repeat(n * 20);
        cache.set_many((0..40).map(|n| (format!("key {n}"), value(n)))).unwrap();
        let path = cache.path().to_owned();
        drop(cache);
        let len = fs::metadata(&path).unwrap().len();
        flip(&path, (place * len as f64) as u64, 1_u8 << bit);
        let Ok(cache) = KvCache::open(dir.path(), "genes", Options::default()) else { return Ok(()) };
        for n in 0..40 {
            if let Ok(Lookup::Hit(found)) = cache.get::<String>(&format!("key {n}")) {
                prop_assert_eq!(found, value(n));
            }
        }
        cache.verify().unwrap();
    }
}

#[test]
fn a_mark_that_is_gone_is_damage_that_repair_knows() {
    let (dir, cache) = fresh();
    cache.set("a", &1).unwrap();
    sql(cache.path(), "DELETE FROM meta");
    drop(cache);
    let cache = open(dir.path(), "genes");
    assert_eq!(cache.set("a", &2).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!cache.verify().unwrap().is_clean());
    drop(cache);
    assert!(KvCache::repair(dir.path(), "genes").unwrap().is_some());
}

#[test]
fn entries_that_count_for_no_capacity_are_told() {
    let dir = tempdir().unwrap();
    let options = Options::default().capacity(1000, crate::Policy::Oldest);
    let cache = KvCache::open(dir.path(), "genes", options).unwrap();
    cache.set_many([("a", 1), ("b", 2)]).unwrap();
    assert!(cache.verify().unwrap().is_clean());
    sql(cache.path(), "UPDATE ranking SET entry = 77 WHERE entry = 1");
    let report = cache.verify().unwrap();
    assert!(report.problems[0].what.contains("capacity"), "{report:?}");
}
