//! What went wrong once.

use std::{sync::mpsc, thread, time::Duration};

use larder_storage::{
    Bytes, Durability, Entries, Error, Keys, LocalStorage, Object, PublishedFile, ReadAt, Result,
    Upload,
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

/// Memory in which something happens once, at a given moment.
#[derive(Debug, Default)]
struct Eventful {
    objects: MemoryStorage,
    on_get: Event,
    on_create: Event,
    on_read: Arc<Event>,
}

type Happening = Box<dyn FnOnce() -> Result<()> + Send>;

#[derive(Default)]
struct Event(std::sync::Mutex<Option<Happening>>);

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Event")
    }
}

impl Event {
    fn set(&self, happening: impl FnOnce() -> Result<()> + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(happening));
    }

    fn happen(&self) -> Result<()> {
        let happening = self.0.lock().unwrap().take();
        happening.map_or(Ok(()), |happening| happening())
    }
}

#[derive(Debug)]
struct EventfulReader(Box<dyn ReadAt>, Arc<Event>);

impl ReadAt for EventfulReader {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset > 0 {
            self.1.happen()?;
        }
        self.0.read_at(offset, buf)
    }

    fn is_current(&self) -> bool {
        true
    }

    fn file(&self) -> Option<&PublishedFile> {
        None
    }
}

impl Storage for Eventful {
    fn get(&self, key: &Key) -> Result<Option<Object>> {
        self.on_get.happen()?;
        self.objects.get(key)
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>> {
        self.objects.get_range(key, offset, len)
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>> {
        let reader = self.objects.open(key)?;
        Ok(reader.map(|reader| Box::new(EventfulReader(reader, Arc::clone(&self.on_read))) as _))
    }

    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()> {
        self.objects.put(key, bytes, when)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.on_create.happen()?;
        self.objects.create(key)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.objects.remove(key)
    }

    fn keys(&self, prefix: Option<&Key>) -> Result<Keys<'_>> {
        self.objects.keys(prefix)
    }

    fn list(&self, prefix: Option<&Key>) -> Result<Entries<'_>> {
        self.objects.list(prefix)
    }

    fn local_root(&self) -> Option<&Path> {
        None
    }
}

fn eventful(options: BudgetOptions) -> (Arc<Eventful>, ArrayStore) {
    let storage = Arc::new(Eventful::default());
    let options = Options::default().budget(MemoryBudget::new(options));
    let store = ArrayStore::on(Arc::clone(&storage) as _, options).unwrap();
    (storage, store)
}

fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, "on purpose")
}

#[test]
fn zeros_that_cannot_be_had_leave_the_array_to_the_budget() {
    let (storage, store) = eventful(BudgetOptions::bytes(150).when_pinned(WhenPinned::Refuse));
    let [a, b] = ["a", "b"].map(|key| store.insert(key, Array1::<u8>::zeros(100)).unwrap());
    a.load().unwrap();
    let other = b.clone();
    storage.on_get.set(move || {
        assert_eq!(other.read().unwrap_err().kind(), ErrorKind::Full, "the first one is busy");
        Err(failure(ErrorKind::Backend))
    });
    assert_eq!(a.overwrite().unwrap_err().kind(), ErrorKind::Backend);
    assert!(b.read().is_ok());
}

#[test]
fn an_array_that_is_replaced_while_it_is_loaded_is_loaded_again() {
    let (storage, store) = eventful(BudgetOptions::bytes(0));
    let array = store.insert("a", Array1::<u8>::ones(100)).unwrap();
    let replace = || storage.on_read.set(|| Err(failure(ErrorKind::Conflict)));
    replace();
    assert_eq!(array.rows(0..1).unwrap()[[0]], 1);
    replace();
    assert_eq!(array.read().unwrap().len(), 100);
    replace();
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn an_insert_that_comes_too_late_leaves_what_was_inserted_before() {
    let (storage, store) = eventful(BudgetOptions::bytes(0));
    let objects = storage.objects.clone();
    storage.on_create.set(move || {
        let other = ArrayStore::on(Arc::new(objects), Options::default())?;
        other.insert("a", arr1(&[7_u8])).map(drop)
    });
    assert_eq!(store.insert("a", arr1(&[1_u8])).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.get::<u8>("a").unwrap().unwrap().read().unwrap()[[0]], 7);
}

#[test]
fn what_is_popped_is_what_was_published_last() {
    let (storage, store) = eventful(BudgetOptions::bytes(1000));
    store.insert("a", arr1(&[1_u8])).unwrap();
    let objects = storage.objects.clone();
    storage.on_read.set(move || {
        let other = ArrayStore::on(Arc::new(objects), Options::default())?;
        other.remove("a")?;
        other.insert("a", arr1(&[7_u8])).map(drop)
    });
    store.offload_all(Offload::Scratch).unwrap();
    let popped = store.pop::<u8>("a");
    assert!(matches!(&popped, Err(error) if error.kind() == ErrorKind::Conflict), "{popped:?}");
    assert_eq!(store.pop::<u8>("a").unwrap().unwrap()[[0]], 7);
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
