use std::sync::Mutex;

use super::*;

fn zeros(len: usize) -> Array1<u8> {
    Array1::zeros(len)
}

#[test]
fn an_array_without_caching_stays_in_memory() {
    let (_dir, store) = fresh(150);
    let a = store.insert_with("a", zeros(100), &store.config().clone().caching(false)).unwrap();
    assert!(!a.cache_enabled() && !a.offload().unwrap());
    let b = store.insert("b", zeros(100)).unwrap();
    assert_eq!((a.offloaded(), b.offloaded()), (false, true));
    assert_eq!(store.offload_all(Offload::Scratch).unwrap(), 1);
    drop(a.read().unwrap());
    drop(a.write().unwrap());
    assert!(!a.offloaded());
    a.enable_caching();
    assert!(a.cache_enabled() && a.offload().unwrap());
    a.disable_caching().unwrap();
    assert!(!a.cache_enabled() && !a.offloaded());
    assert_eq!(store.budget().resident(), 100);
}

#[test]
fn an_array_of_automatic_offloading_goes_with_its_last_guard() {
    let (_dir, store) = fresh(1000);
    let config = store.config().clone().automatic_offloading(true);
    let array = store.insert_with("a", zeros(100), &config).unwrap();
    let (one, two) = (array.read().unwrap(), array.read().unwrap());
    drop(one);
    assert!(!array.offloaded());
    drop(two);
    assert!(array.offloaded());
    array.write().unwrap()[[0]] = 3;
    assert_eq!((array.offloaded(), store.budget().spills()), (true, 1));
    assert_eq!(array.read().unwrap()[[0]], 3);
    array.set_automatic_offloading(false);
    drop(array.read().unwrap());
    assert!(!array.automatic_offloading() && !array.offloaded());
    array.set_automatic_offloading(true);
    assert!(array.offloaded());
}

#[test]
fn an_array_goes_with_its_last_owner_where_that_is_asked_for() {
    let (dir, store) = fresh(1000);
    let config = store.config().clone().purge_on_drop(true);
    let [gone, kept, replaced] =
        ["gone", "kept", "replaced"].map(|key| store.insert_with(key, zeros(9), &config).unwrap());
    assert!(gone.purge_on_drop());
    assert_eq!(gone.cache_path(), Some(dir.path().join("gone.npy")));
    kept.disable_purge();
    let other = open(dir.path(), 1000);
    let theirs = other.get::<u8>("replaced").unwrap().unwrap();
    theirs.write().unwrap()[[0]] = 1;
    theirs.flush().unwrap();
    drop(store);
    assert_eq!(other.len().unwrap(), 3, "handles are alive");
    drop((gone, kept, replaced));
    let left: Vec<_> = other.keys().unwrap().iter().map(Key::to_string).collect();
    assert_eq!(left, ["kept", "replaced"]);
    let theirs = other.get::<u8>("kept").unwrap().unwrap();
    theirs.enable_purge();
    drop((other, theirs));
    assert_eq!(open(dir.path(), 0).keys().unwrap(), [Key::new("replaced").unwrap()]);
}

#[derive(Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Hooks for Log {
    fn on_load(&self, key: &Key) {
        self.0.lock().unwrap().push(format!("load {key}"));
    }

    fn on_offload(&self, key: &Key) {
        self.0.lock().unwrap().push(format!("offload {key}"));
    }
}

#[test]
fn hooks_are_told_of_every_move() {
    let log = Arc::default();
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default().budget(MemoryBudget::bytes(150)).hooks(Log(Arc::clone(&log)));
    let store = ArrayStore::open(dir.path(), options).unwrap();
    let told = || std::mem::take(&mut *log.lock().unwrap());
    let a = store.insert("a", zeros(100)).unwrap();
    assert_eq!(told(), [""; 0]);
    let b = store.insert("b", zeros(100)).unwrap();
    assert_eq!(told(), ["offload a"]);
    a.load().unwrap();
    assert_eq!(told(), ["load a", "offload b"]);
    a.write().unwrap()[[0]] = 1;
    b.load().unwrap();
    assert_eq!(told(), ["load b", "offload a"]);
    b.offload().unwrap();
    a.rows(0..1).unwrap();
    assert_eq!(told(), ["offload b"]);
}

/// Uses the array that it is told of.
#[derive(Debug)]
struct Reader(Mutex<Option<(LazyArray<u8>, LazyArray<u8>)>>);

impl Hooks for Arc<Reader> {
    fn on_offload(&self, _: &Key) {
        let arrays = self.0.lock().unwrap().take();
        if let Some((one, two)) = arrays {
            assert_eq!(one.read().unwrap().len() + two.read().unwrap().len(), 200);
        }
    }
}

#[test]
fn a_hook_may_use_every_array() {
    let reader = Arc::new(Reader(Mutex::default()));
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default().budget(MemoryBudget::bytes(150)).hooks(Arc::clone(&reader));
    let store = ArrayStore::open(dir.path(), options).unwrap();
    let [a, b] = ["a", "b"].map(|key| store.insert(key, zeros(100)).unwrap());
    *reader.0.lock().unwrap() = Some((a.clone(), b.clone()));
    // `a` is loaded and `b` leaves for it: by then both can be read.
    a.load().unwrap();
    assert!(reader.0.lock().unwrap().is_none());
}

#[test]
fn a_store_takes_the_arrays_that_it_is_meant_for() {
    let (dir, _) = fresh(0);
    let refuse_rows = |key: &Key, info: &ArrayInfo| match info.shape[..] {
        [_, 4] => Ok(()),
        _ => Err(larder_storage::Error::new(ErrorKind::Invalid, "has no 4 columns").at_key(key)),
    };
    let options = Options::default().dtypes([DType::F32, DType::F64]).validator(refuse_rows);
    let store = ArrayStore::open(dir.path(), options).unwrap();
    store.insert("a", Array2::<f32>::zeros((3, 4))).unwrap();
    let wrong_type = store.insert("b", Array2::<u8>::zeros((3, 4))).unwrap_err();
    assert_eq!(wrong_type.to_string(), "b: has elements of type |u1: the store takes <f4, <f8");
    let wrong_shape = store.insert("b", Array2::<f64>::zeros((4, 3))).unwrap_err();
    assert_eq!(
        (wrong_shape.kind(), wrong_shape.to_string().contains("4 columns")),
        (ErrorKind::Invalid, true)
    );
    assert_eq!(store.writer::<f32>("b", &[3, 3]).unwrap_err().kind(), ErrorKind::Invalid);
    let file = dir.path().join("b.bin");
    write(&file, &seed_array());
    assert_eq!(store.import_npy("b", &file).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(store.keys().unwrap().len(), 1);
}

#[test]
fn a_store_is_opened_where_its_configuration_says() {
    let dir = tempfile::tempdir().unwrap();
    let config = ArrayConfig::default().cache_path(dir.path()).extend_cache_path("deep");
    let store = ArrayStore::configured(Options::default().config(config.clone())).unwrap();
    assert_eq!((store.config(), store.cache_dir()), (&config, Some(&*dir.path().join("deep"))));
    let nowhere = ArrayStore::configured(Options::default()).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Invalid);
    let (_, remote) = in_memory(0);
    let array = remote.insert("a", zeros(1)).unwrap();
    assert_eq!((remote.cache_dir(), array.cache_path()), (None, None));
}
