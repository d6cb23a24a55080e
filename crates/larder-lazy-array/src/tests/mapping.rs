use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use super::*;

fn zeros(len: usize) -> Array1<u8> {
    Array1::zeros(len)
}

#[test]
fn a_store_is_a_map_that_loads_nothing_by_itself() {
    let (_dir, store) = fresh(1000);
    assert!(store.is_empty().unwrap());
    let [a, b] = ["a", "b"].map(|key| store.insert(key, zeros(10)).unwrap());
    store.insert("c", arr1(&[1.5_f32])).unwrap();
    b.offload().unwrap();
    let items = store.items::<u8>().unwrap();
    let shown: Vec<_> = items.iter().map(|(key, array)| (key.as_str(), array.is_some())).collect();
    assert_eq!(shown, [("a", true), ("b", false), ("c", false)]);
    assert_eq!(store.values::<f32>().unwrap().iter().filter(|array| array.is_some()).count(), 1);
    assert_eq!((store.budget().loads(), store.len().unwrap()), (0, 3));

    a.write().unwrap()[[0]] = 7;
    assert_eq!(store.pop::<u8>("a").unwrap().unwrap()[[0]], 7);
    assert!(store.pop::<u8>("a").unwrap().is_none() && !store.contains("a").unwrap());
    assert_eq!(store.pop::<u8>("c").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(store.clear().unwrap(), 2);
    assert!(store.is_empty().unwrap());
}

#[test]
fn some_or_all_leave_memory_with_or_without_being_published() {
    let (dir, store) = fresh(1000);
    let [a, b, c] = ["a", "b", "c"].map(|key| store.insert(key, zeros(10)).unwrap());
    for array in [&a, &b, &c] {
        array.write().unwrap()[[0]] = 1;
    }
    let published =
        |key| open(dir.path(), 0).get::<u8>(key).unwrap().unwrap().rows(0..1).unwrap()[[0]];
    assert_eq!(store.offload(["a", "nobody"], Offload::Scratch).unwrap(), 2);
    assert_eq!((a.offloaded(), a.dirty(), b.offloaded(), published("a")), (true, true, false, 0));
    assert_eq!(store.offload(["a", "b"], Offload::Publish).unwrap(), 2);
    assert_eq!((a.dirty(), b.dirty(), c.offloaded()), (false, false, false));
    assert_eq!([published("a"), published("b"), published("c")], [1, 1, 0]);
    let guard = c.read().unwrap();
    assert_eq!(store.offload_all(Offload::Publish).unwrap(), 2);
    assert_eq!((c.offloaded(), c.dirty(), published("c")), (false, false, 1));
    drop(guard);
    assert_eq!(store.offload(["../a"], Offload::Publish).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn of_all_who_want_an_array_one_builds_it() {
    let (_dir, store) = fresh(1000);
    let builds = AtomicU32::new(0);
    let build = || {
        builds.fetch_add(1, Ordering::SeqCst);
        Ok(zeros(10))
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(store.get_or_build("a", build).unwrap().len(), 10));
        }
    });
    assert_eq!(builds.into_inner(), 1);
    let failed = |what: &str| larder_storage::Error::new(ErrorKind::Backend, what.to_owned());
    let error = store.get_or_build("b", || Err::<Array1<u8>, _>(failed("no data"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    let nested = store.get_or_build("b", || {
        store.get_or_build("c", || Ok(zeros(1)))?;
        store.get_or_build("b", || Ok(zeros(1)))?;
        Ok(zeros(2))
    });
    assert_eq!(nested.unwrap_err().kind(), ErrorKind::Locked);
    assert!(store.contains("c").unwrap() && !store.contains("b").unwrap());
}

#[test]
fn a_purge_waits_for_nobody() {
    let (_dir, store) = fresh(1000);
    store.insert("a", zeros(10)).unwrap();
    let lease = store.files().lease(&Key::new("a").unwrap()).unwrap();
    thread::scope(|scope| {
        let purge = scope.spawn(|| store.purge("a").unwrap_err());
        assert_eq!(purge.join().unwrap().kind(), ErrorKind::Locked);
    });
    drop(lease);
    assert!(store.purge("a").unwrap() && !store.purge("a").unwrap());
}
