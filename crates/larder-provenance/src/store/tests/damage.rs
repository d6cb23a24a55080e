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
        assert_eq!((report.unused_payloads, bench.payloads()), (0, 1));
        assert!(report.is_clean(), "{report:?}");
    }
}

/// Changes the database behind the store's back.
fn tamper(bench: &Bench, sql: &str) {
    let path = bench.dir.as_ref().unwrap().path().join(".larder/provenance.sqlite");
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_record_that_is_damaged_in_the_index_is_named_and_read_again() {
    for damage in [
        "record = replace(record, 'live', 'lime')",
        "record = CAST(x'ff' AS TEXT)",
        "key = x'00'",
        "kind = 'other'",
        "id = x'0001'",
        "id = randomblob(16)",
        "record = (SELECT record FROM records WHERE operation IS NULL)",
    ] {
        let bench = Bench::durable();
        let good = bench.store.put(payload(2), None).unwrap();
        let bad = bench.store.put(payload(1), Some(made("op"))).unwrap();
        let last = bench.store.put(payload(2), None).unwrap();
        tamper(&bench, &format!("UPDATE records SET {damage} WHERE operation = 'op'"));
        assert!(!bench.store.verify().unwrap().is_clean(), "{damage}");
        let listed: Vec<_> = bench.store.list().filter_map(Result::ok).map(|it| it.id).collect();
        assert!(listed.contains(&good) && listed.contains(&last), "{damage}");
        // The record itself lies on the storage.
        assert_eq!(bench.store.find(&made("op")).unwrap(), Some(bad), "{damage}");
        assert_eq!(bench.store.put(payload(1), Some(made("op"))).unwrap(), bad, "{damage}");
        assert_eq!(bench.store.reindex().unwrap().read, 3, "{damage}");
        assert!(bench.store.verify().unwrap().is_clean(), "{damage}");
        assert_eq!(bench.store.get(bad).unwrap().unwrap().payload, payload(1), "{damage}");
    }
}

#[test]
fn a_record_that_is_damaged_on_the_storage_is_told_and_written_again() {
    for how in [Damage::Remove, Damage::Flip, Damage::Cut] {
        let mut bench = Bench::durable();
        let id = bench.store.put(payload(1), Some(made("op"))).unwrap();
        bench.store.put(payload(2), None).unwrap();
        let place = bench.store.backend.index.read(|view| view.by_id(id)).unwrap().unwrap().place();
        bench.damage_object(&place.unwrap(), how);
        let report = bench.store.verify().unwrap();
        assert_eq!((report.problems.len(), &report.problems[0].place), (1, &id.to_string()));
        // The index still has it.
        assert_eq!(bench.store.find(&made("op")).unwrap(), Some(id));
        let problems = bench.store.refresh().unwrap().problems.len();
        assert_eq!(problems, usize::from(how != Damage::Remove), "{how:?}");
        // Without both the result is computed anew.
        bench.store.reindex().unwrap();
        assert_eq!(bench.store.find(&made("op")).unwrap(), None, "{how:?}");
        assert_ne!(bench.store.put(payload(1), Some(made("op"))).unwrap(), id);
        bench.reopen();
        assert!(bench.store.verify().unwrap().is_clean(), "{how:?}");
    }
}

#[test]
fn a_record_under_a_key_that_is_not_its_own_is_not_served() {
    let (one, other) = (Bench::durable(), Bench::durable());
    let id = one.store.put(payload(1), Some(made("a"))).unwrap();
    let mut row =
        Row::clone(&one.store.backend.index.read(|view| view.by_id(id)).unwrap().unwrap());
    row.key = Some(made("b").digest());
    let text = row.to_text().unwrap();
    other.storage.put(&row.place().unwrap(), text.into(), PutIf::Absent).unwrap();
    other
        .storage
        .put(&Blobs::key(&row.content.payload).unwrap(), payload(1).into(), PutIf::Absent)
        .unwrap();
    assert_eq!(other.store.find(&made("b")).unwrap(), None);
    assert_eq!(other.store.refresh().unwrap().problems.len(), 1);
    assert!(other.store.get_or_compute(&made("b"), || Ok(payload(2))).unwrap().computed);
    assert!(other.store.verify().unwrap().is_clean());
}

#[test]
fn wrong_inputs_in_the_index_and_unused_payloads_are_reported() {
    let bench = Bench::durable();
    let parent = bench.store.put(payload(1), None).unwrap();
    let other = bench.store.put(payload(1), None).unwrap();
    let made = made("op").input(parent).input_as("again", parent).input(other);
    let child = bench.store.put(payload(2), Some(made)).unwrap();
    let stray = Blobs::key(&Digest::of(b"stray")).unwrap();
    bench.storage.put(&stray, "stray".into(), PutIf::Absent).unwrap();
    let report = bench.store.verify().unwrap();
    assert_eq!((report.unused_payloads, report.unused_bytes, report.payloads), (1, 5, 2));
    assert!(report.is_clean());
    tamper(&bench, "DELETE FROM edges WHERE source = (SELECT max(source) FROM edges)");
    assert_eq!(bench.store.verify().unwrap().problems.len(), 1);
    tamper(&bench, "INSERT INTO edges SELECT source, zeroblob(16) FROM edges");
    assert_eq!(bench.store.verify().unwrap().problems.len(), 1);
    tamper(&bench, "INSERT INTO tags VALUES ('release', zeroblob(16))");
    assert_eq!(bench.store.verify().unwrap().problems.len(), 2);
    // None of this hides what else is wrong.
    bench.damage(&payload(2), Damage::Flip);
    assert_eq!(bench.store.verify().unwrap().problems.len(), 3);
    bench.store.reindex().unwrap();
    assert_eq!(bench.store.verify().unwrap().problems.len(), 1);
    assert_eq!(bench.store.descendants(parent).count(), 1);
    assert_eq!(bench.store.made_from(other).unwrap(), [child]);
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
        let dir = bench.dir.as_ref().unwrap().path();
        let opened = Bytestore::open(dir, Options::default());
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Format, "{pragma}");
        assert!(bench.store.get(id).unwrap().is_some());
    }
}

#[test]
fn a_damaged_database_is_moved_aside_and_made_again_from_the_storage() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(crate::repair_index(dir.path()).unwrap(), None);
    let store = open(dir.path());
    let id = store.put(payload(1), Some(made("op"))).unwrap();
    store.tag(id, "release").unwrap();
    assert_eq!(crate::repair_index(dir.path()).unwrap_err().kind(), ErrorKind::Locked);
    drop(store);
    assert_eq!(crate::repair_index(dir.path()).unwrap(), None);

    let database = dir.path().join(".larder/provenance.sqlite");
    let mut file = std::fs::File::options().write(true).open(database).unwrap();
    std::io::Write::write_all(&mut file, &[7; 4096]).unwrap();
    let opened = Bytestore::open(dir.path(), Options::default());
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(crate::repair_index(dir.path()).unwrap().is_some_and(|moved| moved.exists()));
    let store = open(dir.path());
    assert_eq!(store.find(&made("op")).unwrap(), Some(id));
    assert_eq!(store.tagged("release").unwrap(), [id]);
    assert!(store.verify().unwrap().is_clean());
}
