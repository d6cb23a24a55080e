//! What went wrong once.

use std::{sync::mpsc, thread, time::Duration};

use larder_storage::{
    Durability, LocalStorage,
    testing::{Fault, FaultStorage},
};

use super::*;

#[test]
fn who_reverts_wakes_those_who_let_it_go_first() {
    let (_dir, store) = fresh(1 << 20);
    let array = store.insert("a", arr1(&[1_u8])).unwrap();
    for _ in 0..100 {
        let guard = array.read().unwrap();
        thread::scope(|scope| {
            let reverting = scope.spawn(|| array.revert().unwrap());
            let (done, read) = mpsc::channel();
            let reader = array.clone();
            scope.spawn(move || done.send(reader.read().map(drop)));
            drop(guard);
            reverting.join().unwrap();
            read.recv_timeout(Duration::from_secs(20)).expect("nobody sleeps on").unwrap();
        });
    }
}

#[test]
fn a_damaged_spill_is_never_published() {
    let (dir, store) = fresh(1 << 20);
    let array = store.insert("a", Array1::from_elem(1000, 1_u8)).unwrap();
    array.write().unwrap()[[0]] = 2;
    assert!(array.offload().unwrap());
    let scratch = unnamed(dir.path());
    OpenOptions::new().write(true).open(&scratch[0]).unwrap().write_all(&[7; 100]).unwrap();
    let error = array.flush().unwrap_err();
    assert_eq!((error.kind(), error.key().map(Key::as_str)), (ErrorKind::Corrupt, Some("a")));
    assert_eq!(array.read().unwrap_err().key().map(Key::as_str), Some("a"));
    array.revert().unwrap();
    assert_eq!(array.read().unwrap()[[0]], 1);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn damage_under_a_map_is_never_published_as_sound() {
    let (dir, store) = fresh(0);
    store.insert("a", Array1::<u8>::zeros(100_000)).unwrap();
    let mut file = OpenOptions::new().write(true).open(dir.path().join("a.npy")).unwrap();
    file.seek(SeekFrom::End(-10)).unwrap();
    file.write_all(&[255]).unwrap();
    let other = open(dir.path(), 1 << 20);
    let array = other.get::<u8>("a").unwrap().unwrap();
    array.write().unwrap()[[0]] = 1;
    assert!(array.flush().is_err());
    assert_eq!(other.verify().unwrap().problems.len(), 1);
}

#[cfg(unix)]
#[test]
fn a_change_of_permissions_is_no_replacement() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, store) = fresh(0);
    store.insert("a", Array1::<u32>::zeros(100_000)).unwrap();
    let array = open(dir.path(), 1 << 20).get::<u32>("a").unwrap().unwrap();
    array.write().unwrap()[[0]] = 2;
    fs::set_permissions(dir.path().join("a.npy"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(dir.path().join("a.npy"), dir.path().join("backup")).unwrap();
    array.flush().unwrap();
    assert_eq!(open(dir.path(), 0).get::<u32>("a").unwrap().unwrap().rows(0..1).unwrap()[[0]], 2);
}

#[test]
fn an_array_of_the_python_package_is_removed_with_its_last_owner() {
    for load in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("a.npy"), &seed_array());
        write(&dir.path().join("a.meta.json"), SEED_SIDECAR.as_bytes());
        let store = open(dir.path(), 1 << 20);
        let array = store.get::<i16>("a").unwrap().unwrap();
        array.enable_purge();
        if load {
            array.load().unwrap();
        }
        drop((array, store));
        assert!(!dir.path().join("a.npy").exists(), "loaded: {load}");
    }
}

#[test]
fn settings_are_those_of_the_insert_whoever_gets_the_array_first() {
    let (_dir, store) = fresh(1 << 20);
    let config = store.config().clone().automatic_offloading(true);
    for at in 0..500 {
        let key = at.to_string();
        thread::scope(|scope| {
            scope.spawn(|| while store.get::<u8>(&key).unwrap().is_none() {});
            let array = store.insert_with(&key, arr1(&[1_u8]), &config).unwrap();
            assert!(array.automatic_offloading());
        });
    }
}

#[test]
fn rows_lie_in_one_order_wherever_they_come_from() {
    let (_dir, store) = fresh(1 << 20);
    let fortran = ArrayD::from_shape_fn(IxDyn(&[10, 5]).f(), |at| (at[0] * 5 + at[1]) as i32);
    let array = store.insert("a", fortran).unwrap();
    let strides = || array.rows(2..5).unwrap().strides().to_vec();
    let in_memory = strides();
    assert!(array.offload().unwrap());
    assert_eq!(strides(), in_memory);
}

#[test]
fn the_room_of_replaced_files_is_given_back() {
    let (dir, store) = fresh(0);
    let array = store.insert("a", Array1::<u8>::zeros(100_000)).unwrap();
    for round in 0..3 {
        array.rows(0..1).unwrap();
        array.write().unwrap()[[0]] = round;
        array.flush().unwrap();
    }
    let blocks =
        |path: &PathBuf| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap());
    assert_eq!(unnamed(dir.path()).iter().map(blocks).sum::<u64>(), 0);
}

#[test]
fn rows_are_those_of_what_is_published_at_the_time() {
    let (dir, store) = fresh(0);
    let array = store.insert("a", Array1::<u64>::zeros(10)).unwrap();
    let other = open(dir.path(), 1 << 20);
    let theirs = other.get::<u64>("a").unwrap().unwrap();
    for round in 1..300 {
        theirs.write().unwrap().fill(round);
        theirs.flush().unwrap();
        assert_eq!(array.rows(3..4).unwrap()[[0]], round, "at once");
        assert_eq!(array.rows(5..6).unwrap()[[0]], round);
    }
    other.remove("a").unwrap();
    assert_eq!(array.rows(3..4).unwrap_err().kind(), ErrorKind::NotFound);
    other.insert("a", Array1::<u64>::ones(10)).unwrap();
    assert_eq!(array.rows(3..4).unwrap()[[0]], 1);
    // By another program, which tells nobody.
    fs::remove_file(dir.path().join("a.npy")).unwrap();
    while array.rows(3..4).is_ok() {
        thread::yield_now();
    }
    assert_eq!(array.rows(3..4).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_reader_that_has_just_looked_sees_what_was_published_since() {
    let (dir, store) = fresh(0);
    let array = store.insert("a", Array1::<u64>::zeros(10)).unwrap();
    let other = open(dir.path(), 1 << 20);
    let theirs = other.get::<u64>("a").unwrap().unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                array.rows(0..1).unwrap();
            }
        });
        for round in 1..100 {
            theirs.write().unwrap().fill(round);
            theirs.flush().unwrap();
            assert_eq!(array.rows(3..4).unwrap()[[0]], round, "at once");
        }
        over.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[derive(Debug)]
struct Panics;

impl Hooks for Panics {
    fn on_load(&self, key: &Key) {
        assert_ne!(key.as_str(), "a", "on purpose");
    }
}

#[test]
fn a_hook_that_panics_leaves_the_array_to_the_budget() {
    let (dir, _) = fresh(0);
    let options = Options::default().budget(MemoryBudget::bytes(150)).hooks(Panics);
    let store = ArrayStore::open(dir.path(), options).unwrap();
    let [a, b] = ["a", "b"].map(|key| store.insert(key, Array1::<u8>::zeros(100)).unwrap());
    assert!(thread::scope(|scope| scope.spawn(|| a.read().map(drop)).join()).is_err());
    drop(b.read().unwrap());
    assert_eq!((a.offloaded(), store.budget().resident()), (true, 100));
}

#[test]
fn a_replacement_whose_answer_is_lost_can_be_repeated() {
    let mut failed = 0;
    for nth in 0..40 {
        let (dir, store) = fresh(0);
        store.insert("a", arr1(&[1_u8])).unwrap();
        let storage = LocalStorage::open(dir.path(), Durability::Scratch).unwrap();
        let faults = FaultStorage::new(storage, nth, Fault::LoseAnswer);
        let unsure = ArrayStore::on(Arc::new(faults), Options::default()).unwrap();
        let attempt = || {
            let array = unsure.get::<u8>("a")?.expect("it was inserted");
            array.write()?[[0]] = 9;
            array.flush()
        };
        if attempt().is_err() {
            failed += 1;
            attempt().unwrap();
        }
        let other = open(dir.path(), 0);
        assert_eq!(other.get::<u8>("a").unwrap().unwrap().read().unwrap()[[0]], 9, "answer {nth}");
        assert!(other.verify().unwrap().is_clean());
    }
    assert!(failed > 3, "{failed}");
}

#[test]
fn what_cannot_be_read_back_is_refused() {
    let (dir, store) = fresh(0);
    let empty = store.insert("a", Array2::<f64>::zeros((0, 1 << 61)));
    assert_eq!(empty.unwrap_err().kind(), ErrorKind::Invalid);
    let shape = ["1"; 40].join(", ");
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((text.len() as u16).to_le_bytes());
    npy.extend(text.bytes());
    npy.push(1);
    write(&dir.path().join("b.bin"), &npy);
    let import = store.import_npy("a", dir.path().join("b.bin"));
    assert_eq!(import.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(store.is_empty().unwrap());
}

#[test]
fn an_array_whose_file_was_removed_is_not_brought_back() {
    let (dir, store) = fresh(1000);
    let array = store.insert("a", arr1(&[1_u8])).unwrap();
    array.write().unwrap()[[0]] = 2;
    fs::remove_file(dir.path().join("a.npy")).unwrap();
    assert_eq!(array.flush().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!((array.dirty(), array.read().unwrap()[[0]]), (true, 2));
}

#[test]
fn a_scratch_array_is_never_published() {
    for limit in [0, 1000] {
        let (dir, store) = fresh(limit);
        let array = store.scratch(Array1::<u8>::zeros(100)).unwrap();
        assert_eq!(
            (array.offloaded(), array.dirty(), array.cache_path()),
            (limit == 0, true, None)
        );
        array.write().unwrap()[[7]] = 1;
        array.offload().unwrap();
        assert_eq!(array.rows(7..8).unwrap()[[0]], 1);
        array.revert().unwrap();
        assert_eq!(array.read().unwrap().sum(), 1);
        array.overwrite().unwrap()[[0]] = 5;
        assert_eq!(array.read().unwrap().sum(), 5);
        assert_eq!(array.flush().unwrap_err().kind(), ErrorKind::Invalid);
        store.flush_all().unwrap();
        assert!(store.is_empty().unwrap() && !dir.path().join("scratch.npy").exists());
        let budget = store.budget().clone();
        drop((array, store));
        assert_eq!(budget.resident(), 0);
    }
}

#[test]
fn zeros_that_cannot_be_had_leave_the_edits_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let budget = BudgetOptions::bytes(150).when_pinned(WhenPinned::Refuse);
    let options = Options::default().budget(MemoryBudget::new(budget));
    let store = ArrayStore::open(dir.path(), options).unwrap();
    let [a, b] = ["a", "b"].map(|key| store.insert(key, Array1::<u8>::zeros(100)).unwrap());
    let scratch = store.scratch(Array1::<u8>::ones(100)).unwrap();
    a.write().unwrap()[[0]] = 7;
    let guard = b.read().unwrap();
    for array in [&a, &scratch] {
        assert_eq!(array.overwrite().unwrap_err().kind(), ErrorKind::Full);
        assert!(array.dirty());
    }
    drop(guard);
    assert_eq!(a.read().unwrap()[[0]], 7);
    assert_eq!(scratch.read().unwrap().sum(), 100);
}
