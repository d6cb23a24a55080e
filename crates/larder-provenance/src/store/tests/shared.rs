//! Two machines on one storage, each with an index of its own.

use larder_storage::testing::CountingStorage;

use super::*;
use crate::{GcOptions, State};

struct Machine {
    store: Bytestore,
    _dir: TempDir,
}

fn machines() -> (Machine, Machine, MemoryStorage) {
    let storage = MemoryStorage::new();
    let machine = || {
        let dir = tempfile::tempdir().unwrap();
        let on = Arc::new(storage.clone());
        let store = ProvenanceStore::on(on, dir.path(), Options::default()).unwrap();
        Machine { store, _dir: dir }
    };
    (machine(), machine(), storage)
}

#[test]
fn what_one_machine_computed_the_other_finds() {
    let (one, other, _) = machines();
    let id = one.store.put(payload(1), Some(made("a"))).unwrap();
    let outcome = other.store.get_or_compute(&made("a"), || unreachable!("it is there")).unwrap();
    assert_eq!((outcome.id, outcome.payload), (id, payload(1)));
    let from = other.store.put(payload(2), Some(made("b").input(id))).unwrap();
    assert_eq!(one.store.descendants(id).count(), 0);
    assert_eq!(one.store.refresh().unwrap().read, 2);
    assert_eq!(one.store.descendants(id).map(|it| it.unwrap().id).collect::<Vec<_>>(), [from]);
    let error = one.store.put(payload(9), Some(made("b").input(id))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NonDeterministic);
    for machine in [&one, &other] {
        assert!(machine.store.verify().unwrap().is_clean());
    }
}

#[test]
fn two_machines_that_put_one_provenance_get_one_id() {
    let (one, other, _) = machines();
    for n in 0..20 {
        let start = Barrier::new(2);
        let put = |store: &Bytestore| {
            start.wait();
            store.put(payload(n), Some(made("a").param("n", n))).unwrap()
        };
        let ids = thread::scope(|scope| {
            let ids = [&one, &other].map(|machine| scope.spawn(|| put(&machine.store)));
            ids.map(|id| id.join().unwrap())
        });
        assert_eq!(ids[0], ids[1]);
    }
    assert_eq!(one.store.verify().unwrap().problems, []);
}

#[test]
fn what_one_machine_changes_the_other_sees_when_it_refreshes() {
    let (one, other, _) = machines();
    let a = one.store.put(payload(1), Some(made("a"))).unwrap();
    let b = one.store.put(payload(2), Some(made("b").input(a))).unwrap();
    assert_eq!(other.store.refresh().unwrap().read, 2);
    one.store.invalidate(a).unwrap();
    one.store.tag(b, "t").unwrap();
    other.store.refresh().unwrap();
    let states = [a, b].map(|id| other.store.record(id).unwrap().unwrap().state);
    assert_eq!(states, [State::Invalid, State::Doubtful]);
    assert_eq!(other.store.tagged("t").unwrap(), [b]);
    assert!(one.store.delete(b).unwrap());
    assert_eq!(other.store.refresh().unwrap().removed, 1);
    assert_eq!(other.store.record(b).unwrap(), None);
    // It is computed anew on the other one, and is there for both.
    assert!(other.store.get_or_compute(&made("a"), || Ok(payload(1))).unwrap().computed);
    assert!(!one.store.get_or_compute(&made("a"), || Ok(payload(1))).unwrap().computed);
}

#[test]
fn a_refresh_undoes_nothing_in_whatever_order_it_reads() {
    // Where a record lies depends on the ids of its inputs.
    for n in 0..12 {
        let (one, other, _) = machines();
        let a = one.store.put(payload(1), Some(made("a").param("n", n))).unwrap();
        let b = one.store.put(payload(2), Some(made("b").input(a))).unwrap();
        other.store.refresh().unwrap();
        one.store.invalidate(a).unwrap();
        one.store.tag(b, "t").unwrap();
        other.store.refresh().unwrap();
        one.store.refresh().unwrap();
        for store in [&one.store, &other.store] {
            assert_eq!(store.tagged("t").unwrap(), [b], "{n}");
            assert_eq!(store.record(b).unwrap().unwrap().state, State::Doubtful);
            assert!(store.verify().unwrap().is_clean());
        }
    }
}

#[test]
fn a_payload_that_another_machine_uses_is_not_removed() {
    let (one, other, storage) = machines();
    let id = one.store.put(payload(1), Some(made("a"))).unwrap();
    let theirs = other.store.put(payload(1), Some(made("b"))).unwrap();
    assert!(one.store.delete(id).unwrap());
    assert_eq!(other.store.get(theirs).unwrap().unwrap().payload, payload(1));
    // It may be a record's that is on the way.
    assert!(other.store.delete(theirs).unwrap());
    assert_eq!(one.store.gc(&GcOptions::default()).unwrap().swept, 0);
    assert_eq!(storage.list(Some(&Key::new("blobs").unwrap())).unwrap().count(), 1);
}

/// The store of a root, and one of the same root with an index elsewhere, opened in this order or the other one.
fn owner_and_guest(owner_is_first: bool) -> (Bytestore, Bytestore, [TempDir; 2]) {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let owner = || open(dirs[0].path());
    let guest = || {
        let storage = Arc::new(LocalStorage::open(dirs[0].path(), Durability::Scratch).unwrap());
        Bytestore::on(storage, dirs[1].path(), Options::default()).unwrap()
    };
    let first = owner_is_first.then(owner);
    let guest = guest();
    (first.unwrap_or_else(owner), guest, dirs)
}

#[test]
fn a_root_that_has_an_index_elsewhere_too_keeps_what_that_one_knows() {
    for owner_is_first in [true, false] {
        let (owner, guest, _dirs) = owner_and_guest(owner_is_first);
        let theirs = guest.put(payload(1), None).unwrap();
        let ours = owner.put(payload(1), None).unwrap();
        assert!(owner.delete(ours).unwrap());
        assert_eq!(guest.get(theirs).unwrap().unwrap().payload, payload(1));
    }
}

#[test]
fn a_root_and_its_index_elsewhere_undo_nothing_of_each_other() {
    for owner_is_first in [true, false] {
        let (owner, guest, dirs) = owner_and_guest(owner_is_first);
        let id = owner.put(payload(1), Some(made("a"))).unwrap();
        guest.refresh().unwrap();
        guest.invalidate(id).unwrap();
        owner.pin(id, true).unwrap();
        guest.refresh().unwrap();
        assert_eq!(guest.record(id).unwrap().unwrap().state, State::Invalid, "{owner_is_first}");
        assert_eq!(owner.find(&made("a")).unwrap(), None);
        // What is stored again is young, so that nobody sweeps it.
        let blob = dirs[0].path().join(Blobs::key(&Digest::of(&payload(1))).unwrap().as_str());
        let hours_ago = SystemTime::now() - Duration::from_hours(3);
        let file = std::fs::File::options().write(true).open(&blob).unwrap();
        file.set_modified(hours_ago).unwrap();
        owner.put(payload(1), None).unwrap();
        assert_ne!(blob.metadata().unwrap().modified().unwrap(), hours_ago);
        assert_eq!(guest.gc(&GcOptions::default()).unwrap().swept, 0);
    }
}

#[test]
fn a_root_named_by_a_link_is_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (root, link) = (dir.path().join("root"), dir.path().join("link"));
    std::fs::create_dir(&root).unwrap();
    std::os::unix::fs::symlink(&root, &link).unwrap();
    let storage = Arc::new(LocalStorage::open(&link, Durability::Scratch).unwrap());
    let store = Bytestore::on(storage, &link, Options::default()).unwrap();
    let id = store.put(payload(1), None).unwrap();
    assert!(store.delete(id).unwrap());
    assert!(!root.join(".larder/shared").exists());
    assert!(!root.join(Blobs::key(&Digest::of(&payload(1))).unwrap().as_str()).exists());
}

#[test]
fn a_collection_keeps_the_payloads_of_records_that_were_copied_to_the_root() {
    let (one, other) = (Bench::durable(), Bench::durable());
    one.store.put(payload(1), Some(made("a"))).unwrap();
    let id = other.store.put(payload(1), None).unwrap();
    let place = crate::row::place(id.as_bytes()).unwrap();
    let record = other.storage.get(&place).unwrap().unwrap().into_bytes();
    one.storage.put(&place, record, PutIf::Absent).unwrap();
    let report = one.store.gc(&GcOptions::default().max_age(Duration::ZERO)).unwrap();
    assert_eq!(report.collected, []);
    assert_eq!(one.store.get(id).unwrap().unwrap().payload, payload(1));
}

#[test]
fn a_record_whose_publication_failed_is_published_when_the_index_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store.put(payload(1), Some(made("a"))).unwrap();
    // As a kill between the two leaves it.
    store
        .backend
        .index
        .change(|index| {
            let row = index.by_id(id)?.unwrap().in_state(State::Invalid);
            index.put(&row, crate::index::Object::Behind)
        })
        .unwrap();
    drop(store);
    let store = open(dir.path());
    let row = store.backend.index.read(|view| view.by_id(id)).unwrap().unwrap();
    let published = store.backend.published.as_ref().unwrap().load(&row.place().unwrap());
    assert_eq!(published.unwrap().unwrap().state, State::Invalid);
}

#[test]
fn a_change_of_what_another_machine_changed_keeps_both() {
    let (one, other, _) = machines();
    let id = one.store.put(payload(1), Some(made("a"))).unwrap();
    other.store.refresh().unwrap();
    one.store.tag(id, "one").unwrap();
    one.store.invalidate(id).unwrap();
    assert!(one.store.get_or_compute(&made("a"), || Ok(payload(2))).unwrap().computed);
    // The other one knows of none of this.
    other.store.tag(id, "other").unwrap();
    let record = other.store.record(id).unwrap().unwrap();
    assert_eq!((record.payload, record.tags.len()), (Digest::of(&payload(2)), 2));
    one.store.refresh().unwrap();
    assert_eq!(one.store.tagged("other").unwrap(), [id]);
    assert!(one.store.delete(id).unwrap());
    assert_eq!(other.store.invalidate(id).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(other.store.verify().unwrap().is_clean());
}

#[test]
fn what_was_made_from_something_that_changed_elsewhere_is_doubtful() {
    let (one, other, storage) = machines();
    let made_from = |id| made("b").input(id);
    let a = one.store.put(payload(1), Some(made("a"))).unwrap();
    other.store.refresh().unwrap();
    let b = one.store.put(payload(2), Some(made_from(a))).unwrap();
    // The other one does not know of b, and gives a another payload.
    other.store.invalidate(a).unwrap();
    assert!(other.store.get_or_compute(&made("a"), || Ok(payload(3))).unwrap().computed);
    assert_eq!(other.store.find(&made_from(a)).unwrap(), None);
    one.store.refresh().unwrap();
    for store in [&one.store, &other.store] {
        assert_eq!(store.record(b).unwrap().unwrap().state, State::Doubtful);
        assert_eq!(store.find(&made_from(a)).unwrap(), None);
    }
    let dir = tempfile::tempdir().unwrap();
    let third = ProvenanceStore::<Vec<u8>>::on(Arc::new(storage), dir.path(), Options::default());
    assert_eq!(third.unwrap().find(&made_from(a)).unwrap(), None);
}

#[test]
fn one_who_knows_an_old_input_revives_nothing() {
    let (one, other, storage) = machines();
    let a = one.store.put(payload(1), Some(made("a"))).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let third = ProvenanceStore::<Vec<u8>>::on(Arc::new(storage), dir.path(), Options::default());
    let third = third.unwrap();
    let b = one.store.put(payload(2), Some(made("b").input(a))).unwrap();
    other.store.refresh().unwrap();
    other.store.invalidate(a).unwrap();
    assert_eq!(third.find(&made("b").input(a)).unwrap(), None);
    assert_eq!(third.record(b).unwrap().unwrap().state, State::Doubtful);
}

#[test]
fn a_record_with_the_id_of_another_takes_the_place_of_none() {
    let (one, other, _) = machines();
    let id = one.store.put(payload(1), None).unwrap();
    let backend = &one.store.backend;
    let mut row = Row::clone(&backend.index.read(|view| view.by_id(id)).unwrap().unwrap());
    row.key = Some(made("a").digest());
    row.provenance = Some(made("a").to_json());
    row.content.payload = Digest::of(&payload(9));
    backend.published.as_ref().unwrap().replace(&row).unwrap();
    assert_eq!(one.store.refresh().unwrap().problems.len(), 1);
    assert_eq!(one.store.get(id).unwrap().unwrap().payload, payload(1));
    assert_eq!(one.store.find(&made("a")).unwrap(), None);
    assert_eq!(one.store.gc(&GcOptions::default()).unwrap().swept, 0);
    let made_anew = one.store.put(payload(2), Some(made("a"))).unwrap();
    assert_eq!(other.store.find(&made("a")).unwrap(), Some(made_anew));
    assert!(one.store.refresh().unwrap().problems.is_empty());
}

#[test]
fn an_index_of_another_storage_is_not_emptied() {
    let (one, ..) = machines();
    one.store.put(payload(1), Some(made("a"))).unwrap();
    let dir = one._dir.path();
    let wrong = open(dir);
    for refused in [wrong.refresh().map(drop), wrong.gc(&GcOptions::default()).map(drop)] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(one.store.len().unwrap(), 1);
}

#[test]
fn a_reindex_reads_each_record_once_and_a_refresh_reads_none_that_is_known() {
    let (root, index) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let local = LocalStorage::open(root.path(), Durability::Scratch).unwrap();
    let storage = Arc::new(CountingStorage::new(local));
    let on = Arc::clone(&storage);
    let store = Bytestore::on(on, index.path(), Options::default()).unwrap();
    for n in 0..20 {
        store.put(payload(n), Some(made("a").param("n", n))).unwrap();
    }
    for entry in storage.list(Some(&Key::new("records").unwrap())).unwrap() {
        let path = root.path().join(entry.unwrap().key.as_str());
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
    }
    let gets = |work: fn(&Bytestore) -> Result<Refreshed>| {
        let before = storage.counts().gets;
        let done = work(&store).unwrap();
        (done.read, storage.counts().gets - before)
    };
    assert_eq!(gets(Bytestore::reindex), (20, 20));
    assert_eq!(gets(Bytestore::refresh), (0, 0));
}

#[test]
fn an_index_that_was_not_read_to_its_end_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..3 {
        store.put(payload(n), None).unwrap();
    }
    // As a kill in the middle leaves it.
    store.backend.index.change(|index| index.clear()).unwrap();
    store.put(payload(3), None).unwrap();
    drop(store);
    assert_eq!(open(dir.path()).len().unwrap(), 4);
}

#[test]
fn what_is_ahead_of_its_object_outlives_a_reindex() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store.put(payload(1), Some(made("a"))).unwrap();
    let index = &store.backend.index;
    index
        .change(|index| {
            let row = index.by_id(id)?.unwrap().in_state(State::Invalid);
            index.put(&row, crate::index::Object::Behind)?;
            index.clear()
        })
        .unwrap();
    store.refresh().unwrap();
    assert_eq!(store.record(id).unwrap().unwrap().state, State::Invalid);
    assert!(store.verify().unwrap().is_clean());
}
