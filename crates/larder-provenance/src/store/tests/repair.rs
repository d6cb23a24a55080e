//! Moving what is damaged aside, also beside others who write it anew.

use larder_storage::testing::{MeddledStorage, Moment};

use super::*;

#[test]
fn what_is_damaged_is_moved_aside_and_the_rest_stays() {
    let bench = Bench::durable();
    let id = bench.store.put(payload(1), Some(made("a"))).unwrap();
    let (lost, whole) = (made("b").input(id), made("c").input(id));
    let gone = bench.store.put(payload(2), Some(lost.clone())).unwrap();
    let other = bench.store.put(payload(3), Some(whole.clone())).unwrap();
    let place = |id| bench.store.record(id).unwrap().unwrap().provenance.unwrap().digest();
    let place = |id| crate::row::place_of("bytes", &place(id)).unwrap();
    let (known, unknown) = (place(id), place(gone));
    for (place, how) in [(&known, Damage::Flip), (&unknown, Damage::Cut)] {
        bench.damage_object(place, how);
    }
    bench.damage(&payload(3), Damage::Flip);
    bench.store.backend.index.change(|index| index.remove(gone)).unwrap();

    let report = bench.store.repair().unwrap();
    assert_eq!((report.quarantined.len(), report.restored), (3, 1), "{report:?}");
    for (moved, from) in report.quarantined.iter().zip(["records/", "records/", "blobs/"]) {
        assert!(moved.starts_with("quarantine/") && moved.contains(from), "{moved}");
        assert!(bench.storage.get(&Key::new(moved).unwrap()).unwrap().is_some());
    }
    assert_eq!(bench.store.get(id).unwrap().unwrap().payload, payload(1));
    assert_eq!(bench.store.find(&lost).unwrap(), None);
    assert_eq!(bench.store.get(other).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(bench.store.get_or_compute(&lost, || Ok(payload(2))).unwrap().computed);
    let again = bench.store.get_or_compute(&whole, || Ok(payload(3))).unwrap();
    assert_eq!((again.id, again.computed), (other, true));
    let report = bench.store.verify().unwrap();
    assert!(report.is_clean() && report.records == 3, "{report:?}");
    assert_eq!(bench.store.repair().unwrap().quarantined, [""; 0]);
}

#[test]
fn what_is_gone_stays_gone() {
    let bench = Bench::durable();
    let id = bench.store.put(payload(1), None).unwrap();
    bench.damage_object(&crate::row::place(id.as_bytes()).unwrap(), Damage::Remove);
    let report = bench.store.repair().unwrap();
    assert_eq!((report.quarantined.len(), report.restored), (0, 0), "{report:?}");
    assert_eq!(bench.store.record(id).unwrap(), None);
}

/// Repairs a storage on which `key` is damaged, while another machine puts a result before the repair reads that again;
/// returns what the other one has of it afterwards.
fn repair_beside_a_put(key: &Key, before: usize, made: Option<Provenance>) -> Stored<Vec<u8>> {
    let inner = MemoryStorage::new();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let on = |storage: Arc<dyn Storage>, dir: &TempDir| {
        Bytestore::on(storage, dir.path(), Options::default()).unwrap()
    };
    let other = on(Arc::new(inner.clone()), &dirs[1]);
    let id = Arc::new(Mutex::new(None));
    let put = {
        let (other, id) = (other.clone(), Arc::clone(&id));
        move || *id.lock().unwrap() = Some(other.put(payload(1), made).unwrap())
    };
    let storage = Arc::new(MeddledStorage::new(inner.clone()));
    let store = on(Arc::clone(&storage) as _, &dirs[0]);
    inner.put(key, "damaged".into(), PutIf::Always).unwrap();
    storage.meddle(Moment::Get(key.clone(), before), put);
    store.repair().unwrap();
    let id = id.lock().unwrap().expect("it was put meanwhile");
    other.refresh().unwrap();
    other.get(id).unwrap().expect("it stays")
}

#[test]
fn what_another_machine_writes_anew_during_a_repair_stays() {
    for before in 0..3 {
        let place = crate::row::place_of("bytes", &made("a").digest()).unwrap();
        let found = repair_beside_a_put(&place, before, Some(made("a")));
        assert_eq!(found.payload, payload(1), "{before}");
    }
    for before in 0..2 {
        let blob = Blobs::key(&Digest::of(&payload(1))).unwrap();
        assert_eq!(repair_beside_a_put(&blob, before, None).payload, payload(1), "{before}");
    }
}
