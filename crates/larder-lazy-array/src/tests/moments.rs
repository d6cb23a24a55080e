//! What happens at the worst moment.

use larder_storage::{Bytes, Entries, Error, Keys, Object, PublishedFile, ReadAt, Result, Upload};

use super::*;

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
