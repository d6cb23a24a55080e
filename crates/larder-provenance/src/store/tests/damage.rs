//! What a store does when its files are not as it wrote them.

use super::*;

#[test]
fn a_lost_payload_is_a_miss_and_is_replaced() {
    for mut bench in Bench::both() {
        for (n, how) in [Damage::Remove, Damage::Flip, Damage::Cut].into_iter().enumerate() {
            let provenance = made(&format!("op {n}"));
            let id = bench.store.put(payload(1), Some(provenance.clone())).unwrap();
            bench.damage(&payload(1), how);
            bench.reopen();
            assert_eq!(bench.store.find(&provenance).unwrap(), None, "{how:?}");
            let error = bench.store.get(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{how:?}");
            assert_eq!(error.to_string().lines().count(), 1);
            assert_eq!(bench.store.verify().unwrap().problems[n].place, id.to_string());

            // Another result than before: what is there is what was computed last.
            let outcome = bench.store.get_or_compute(&provenance, || Ok(payload(2))).unwrap();
            assert_eq!((outcome.id, outcome.computed), (id, true));
            assert_eq!(bench.store.get(id).unwrap().unwrap().payload, payload(2));
            assert_eq!(bench.store.find(&provenance).unwrap(), Some(id));
            // The records of the rounds before have that payload as well.
            bench.damage(&payload(2), how);
            assert_eq!(bench.store.put(payload(1), Some(provenance)).unwrap(), id);
        }
        // The first payload has come back to every record, and the second one has none left.
        let report = bench.store.verify().unwrap();
        assert_eq!((report.unused_payloads, bench.payloads.list(None).unwrap().count()), (0, 1));
        assert!(report.is_clean(), "{report:?}");
    }
}

/// Changes the database behind the store's back.
fn tamper(bench: &Bench, sql: &str) {
    let path = bench.dir.as_ref().unwrap().path().join(".larder/provenance.sqlite");
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_damaged_record_is_named_and_the_rest_stays_usable() {
    let bench = Bench::durable();
    let bad = bench.store.put(payload(1), Some(made("op"))).unwrap();
    let good = bench.store.put(payload(2), None).unwrap();
    tamper(&bench, "UPDATE records SET summary = '{\"n\":1}' WHERE operation = 'op'");
    assert_eq!(bench.store.get(bad).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(bench.store.find(&made("op")).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(
        bench.store.put(payload(1), Some(made("op"))).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    assert_eq!(bench.store.get(good).unwrap().unwrap().payload, payload(2));
    let listed: Vec<_> = bench.store.list().map(|record| record.is_ok()).collect();
    assert_eq!(listed, [false, true]);
    let report = bench.store.verify().unwrap();
    assert_eq!(
        (report.records, report.problems.len(), report.problems[0].place.clone()),
        (2, 1, bad.to_string())
    );
    assert!(bench.store.delete(bad).unwrap());
    assert!(bench.store.put(payload(1), Some(made("op"))).is_ok());
}

#[test]
fn a_record_that_cannot_be_read_is_named_and_the_rest_stays_usable() {
    for damage in [
        "payload = x'00'",
        "payload_len = -1",
        "key = x'00'",
        "version = -1",
        "provenance = CAST(x'ff' AS TEXT)",
        "checksum = 1 << 40",
    ] {
        let bench = Bench::durable();
        let good = bench.store.put(payload(2), None).unwrap();
        let bad = bench.store.put(payload(1), Some(made("op"))).unwrap();
        let last = bench.store.put(payload(2), None).unwrap();
        tamper(&bench, &format!("UPDATE records SET {damage} WHERE operation = 'op'"));

        assert_eq!(bench.store.get(bad).unwrap_err().kind(), ErrorKind::Corrupt, "{damage}");
        let listed: Vec<_> = bench.store.list().map(|it| it.map(|record| record.id).ok()).collect();
        assert_eq!(listed, [Some(good), None, Some(last)], "{damage}");
        let report = bench.store.verify().unwrap();
        let places: Vec<_> = report.problems.iter().map(|problem| problem.place.clone()).collect();
        assert_eq!((report.records, places), (3, vec![bad.to_string()]), "{damage}");

        assert!(bench.store.delete(bad).unwrap(), "{damage}");
        assert_ne!(bench.store.put(payload(1), Some(made("op"))).unwrap(), bad);
        assert!(bench.store.verify().unwrap().is_clean(), "{damage}");
    }
}

#[test]
fn a_record_whose_id_is_none_ends_no_listing() {
    let bench = Bench::durable();
    bench.store.put(b"bad".to_vec(), None).unwrap();
    let good = bench.store.put(payload(2), None).unwrap();
    tamper(&bench, "UPDATE records SET id = x'0001' WHERE payload_len = 3");
    let listed: Vec<_> = bench.store.list().map(|it| it.map(|record| record.id).ok()).collect();
    assert_eq!(listed, [None, Some(good)]);
    assert_eq!(bench.store.verify().unwrap().problems[0].place, "0001");
}

#[test]
fn lost_inputs_and_unused_payloads_are_reported() {
    let bench = Bench::durable();
    let parent = bench.store.put(payload(1), None).unwrap();
    bench.store.put(payload(2), Some(made("op").input(parent).input_as("again", parent))).unwrap();
    bench
        .payloads
        .put(&Blobs::key(&Digest::of(b"stray")).unwrap(), "stray".into(), PutIf::Absent)
        .unwrap();
    let report = bench.store.verify().unwrap();
    assert_eq!((report.unused_payloads, report.unused_bytes, report.payloads), (1, 5, 2));
    assert!(report.is_clean());
    tamper(&bench, "DELETE FROM edges WHERE position = 1");
    assert_eq!(bench.store.verify().unwrap().problems.len(), 1);
    tamper(&bench, "INSERT INTO edges SELECT zeroblob(16), 0, NULL, parent, NULL FROM edges");
    assert_eq!(bench.store.verify().unwrap().problems.len(), 2);
    // None of this hides what else is wrong.
    bench.damage(&payload(2), Damage::Flip);
    assert_eq!(bench.store.verify().unwrap().problems.len(), 3);
}

#[test]
fn a_directory_of_something_else_or_of_the_future_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::File::create(&file).unwrap();
    assert_eq!(Bytestore::open(&file, Options::default()).unwrap_err().kind(), ErrorKind::Invalid);

    for pragma in ["PRAGMA user_version = 2", "PRAGMA application_id = 7"] {
        let bench = Bench::durable();
        let id = bench.store.put(payload(1), None).unwrap();
        tamper(&bench, pragma);
        let storage = Arc::new(bench.payloads.clone());
        let opened = Bytestore::on(storage, bench.dir.as_ref().unwrap().path(), Options::default());
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Format, "{pragma}");
        assert!(bench.store.get(id).unwrap().is_some());
    }
}

#[test]
fn a_damaged_database_is_moved_aside_and_the_payloads_are_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Bytestore::open(dir.path(), Options::default());
    assert_eq!(crate::repair(dir.path()).unwrap(), None);
    let store = open().unwrap();
    store.put(payload(1), Some(made("op"))).unwrap();
    assert_eq!(crate::repair(dir.path()).unwrap_err().kind(), ErrorKind::Locked);
    drop(store);
    assert_eq!(crate::repair(dir.path()).unwrap(), None);

    let database = dir.path().join(".larder/provenance.sqlite");
    let mut file = std::fs::File::options().write(true).open(database).unwrap();
    std::io::Write::write_all(&mut file, &[7; 4096]).unwrap();
    assert_eq!(open().unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(crate::repair(dir.path()).unwrap().is_some_and(|moved| moved.exists()));
    let store = open().unwrap();
    assert!(store.is_empty().unwrap());
    store.put(payload(1), Some(made("op"))).unwrap();
    let report = store.verify().unwrap();
    assert!(report.is_clean());
    assert_eq!((report.payloads, report.unused_payloads), (1, 0));
}
