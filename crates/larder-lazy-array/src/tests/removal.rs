use std::thread;

use super::*;

#[test]
fn an_existing_key_is_refused_and_a_removed_one_is_free() {
    let (_dir, store) = fresh(1 << 20);
    let old = store.insert("a", arr1(&[1_u8])).unwrap();
    assert_eq!(store.insert("a", arr1(&[2_u8])).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(store.contains("a").unwrap());
    assert_eq!(old.read().unwrap()[[0]], 1);
    assert!(store.remove("a").unwrap());
    assert!(!store.remove("a").unwrap());
    assert!(!store.contains("a").unwrap());
    assert!(store.get::<u8>("a").unwrap().is_none());
    assert!(store.info("a").unwrap().is_none());
    old.write().unwrap()[[0]] = 3;
    assert_eq!(old.flush().unwrap_err().kind(), ErrorKind::NotFound);
    store.insert("a", arr1(&[2_u8])).unwrap();
    assert_eq!(old.flush().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.get::<u8>("a").unwrap().unwrap().read().unwrap()[[0]], 2);
    for key in ["", "../a", "a//b", "CON", &"x".repeat(250)] {
        assert_eq!(
            store.insert(key, arr1(&[1_u8])).unwrap_err().kind(),
            ErrorKind::Invalid,
            "{key}"
        );
        assert!(store.get::<u8>(key).is_err());
    }
}

#[test]
fn a_handle_on_a_removed_array_never_meets_the_next_one() {
    let (dir, store) = fresh(1 << 20);
    let [clean, edited] = ["clean", "edited"].map(|key| {
        let old = store.insert(key, arr1(&[1_u8, 2])).unwrap();
        if key == "edited" {
            old.write().unwrap()[[0]] = 9;
        }
        assert!(old.offload().unwrap());
        assert!(store.remove(key).unwrap());
        // The very same content, so that no checksum tells them apart.
        store.insert(key, arr1(&[1_u8, 2])).unwrap();
        old
    });
    assert_eq!(clean.read().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(clean.write().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(clean.rows(0..1).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(edited.rows(0..1).unwrap()[[0]], 9, "edits stay with the handle");
    assert_eq!(edited.flush().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(edited.read().unwrap()[[0]], 9);
    for key in ["clean", "edited"] {
        let found = open(dir.path(), 0).get::<u8>(key).unwrap().unwrap();
        assert_eq!(found.read().unwrap().as_slice(), Some(&[1, 2][..]));
    }
}

/// Threads insert and remove arrays of two shapes under one key, and look at them through their own handles.
#[test]
fn a_handle_only_ever_has_the_array_it_was_given() {
    const ROUNDS: usize = 150;
    let (_dir, store) = fresh(1 << 20);
    thread::scope(|scope| {
        for me in 0..4_u8 {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    match store.insert("a", Array1::from_elem(5 + usize::from(me % 2), me)) {
                        Ok(mine) => own(&mine, me),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                    }
                    if let Some(found) = store.get::<u8>("a").unwrap() {
                        found.offload().unwrap();
                    }
                    store.remove("a").unwrap();
                }
            });
        }
    });
    assert!(!store.contains("a").unwrap());
}

/// The values of a handle that came from an insert, as long as nobody removed it.
fn own(mine: &LazyArray<u8>, me: u8) {
    mine.offload().unwrap();
    match mine.read() {
        Ok(values) => assert!(values.iter().all(|value| *value == me), "{values:?}"),
        Err(error) => return assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
    }
    match mine.write() {
        Ok(mut values) => values[[0]] = me,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
    }
    if let Err(error) = mine.flush() {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}
