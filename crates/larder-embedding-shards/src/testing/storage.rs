use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use larder_storage::{
    Bytes, Entries, Error, ErrorKind, Key, Keys, MemoryStorage, Object, PublishedFile, PutIf,
    ReadAt, Result, Storage, Upload,
};

/// A storage in memory that counts its open readers and notes what is put.
#[derive(Debug, Default)]
pub(crate) struct WatchedStorage {
    objects: MemoryStorage,
    live: Arc<AtomicUsize>,
    most: AtomicUsize,
    opened: AtomicUsize,
    ranges: AtomicUsize,
    read: Arc<AtomicU64>,
    puts: Mutex<Vec<(Key, PutIf)>>,
    vanishing: Mutex<Option<Key>>,
    root: Option<PathBuf>,
    spoiling: AtomicBool,
    failing: Arc<AtomicBool>,
}

impl WatchedStorage {
    /// One that is taken for the local directory `root`.
    pub(crate) fn local(root: &Path) -> Self {
        Self { root: Some(root.to_owned()), ..Self::default() }
    }

    /// Whether reads of what is there fail from now on.
    pub(crate) fn let_reads_fail(&self, fail: bool) {
        self.failing.store(fail, Ordering::Relaxed);
    }

    /// Starts counting anew, from the readers that are open now.
    pub(crate) fn reset(&self) {
        self.most.store(self.live.load(Ordering::Relaxed), Ordering::Relaxed);
        self.opened.store(0, Ordering::Relaxed);
        self.ranges.store(0, Ordering::Relaxed);
        self.read.store(0, Ordering::Relaxed);
        self.puts.lock().unwrap().clear();
    }

    /// The most readers that were open at once.
    pub(crate) fn most_open(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// How often a reader was opened.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// How many ranges were asked for.
    pub(crate) fn ranges(&self) -> usize {
        self.ranges.load(Ordering::Relaxed)
    }

    /// How many bytes were read through readers.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// What was put, and on which condition.
    pub(crate) fn puts(&self) -> Vec<(Key, PutIf)> {
        self.puts.lock().unwrap().clone()
    }

    /// Removes the object once it was opened the next time.
    pub(crate) fn let_vanish(&self, key: &Key) {
        *self.vanishing.lock().unwrap() = Some(key.clone());
    }

    /// Stores something else than what is put the next time.
    pub(crate) fn spoil_next_put(&self) {
        self.spoiling.store(true, Ordering::Relaxed);
    }
}

impl Storage for WatchedStorage {
    fn get(&self, key: &Key) -> Result<Option<Object>> {
        fail_if(&self.failing)?;
        self.objects.get(key)
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>> {
        self.ranges.fetch_add(1, Ordering::Relaxed);
        self.objects.get_range(key, offset, len)
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>> {
        let Some(reader) = self.objects.open(key)? else { return Ok(None) };
        let live = self.live.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(live, Ordering::Relaxed);
        self.opened.fetch_add(1, Ordering::Relaxed);
        if self.vanishing.lock().unwrap().take_if(|vanishing| vanishing == key).is_some() {
            self.objects.remove(key)?;
        }
        let (live, read) = (Arc::clone(&self.live), Arc::clone(&self.read));
        Ok(Some(Box::new(WatchedReader { reader, live, read, failing: Arc::clone(&self.failing) })))
    }

    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()> {
        self.puts.lock().unwrap().push((key.clone(), when.clone()));
        if self.spoiling.swap(false, Ordering::Relaxed) {
            let mut spoiled = bytes.to_vec();
            spoiled[bytes.len() / 4..bytes.len() / 2].fill(0x55);
            return self.objects.put(key, spoiled.into(), when);
        }
        self.objects.put(key, bytes, when)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
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
        self.root.as_deref()
    }
}

#[derive(Debug)]
struct WatchedReader {
    reader: Box<dyn ReadAt>,
    live: Arc<AtomicUsize>,
    read: Arc<AtomicU64>,
    failing: Arc<AtomicBool>,
}

/// Why nothing can be read.
fn fail_if(failing: &AtomicBool) -> Result<()> {
    if failing.load(Ordering::Relaxed) {
        return Err(Error::new(ErrorKind::Backend, "the server does not answer"));
    }
    Ok(())
}

impl ReadAt for WatchedReader {
    fn len(&self) -> u64 {
        self.reader.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        fail_if(&self.failing)?;
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.reader.read_at(offset, buf)
    }

    fn is_current(&self) -> bool {
        self.reader.is_current()
    }

    fn file(&self) -> Option<&PublishedFile> {
        self.reader.file()
    }
}

impl Drop for WatchedReader {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}
