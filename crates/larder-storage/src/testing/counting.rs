use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Bytes, Entries, Key, Keys, Object, PublishedFile, PutIf, ReadAt, Result, Storage, Upload,
};

/// A storage that counts what is asked of it, failures included.
#[derive(Debug, Default)]
pub struct CountingStorage<S> {
    inner: S,
    counters: Arc<Counters>,
}

/// What was asked of a [`CountingStorage`] so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Calls of [`Storage::get`].
    pub gets: u64,
    /// Calls of [`Storage::get_range`].
    pub ranges: u64,
    /// Calls of [`Storage::open`].
    pub opens: u64,
    /// Calls of [`ReadAt::read_at`].
    pub reads: u64,
    /// Calls of [`Storage::put`].
    pub puts: u64,
    /// Calls of [`Storage::create`].
    pub creates: u64,
    /// Calls of [`Upload::commit`].
    pub commits: u64,
    /// Calls of [`Storage::remove`].
    pub removes: u64,
    /// Calls of [`Storage::keys`] and [`Storage::list`].
    pub lists: u64,
    /// Bytes that `get`, `get_range` and `read_at` gave.
    pub bytes_read: u64,
    /// Bytes that `put` and uploads took.
    pub bytes_written: u64,
}

#[derive(Debug, Default)]
struct Counters {
    gets: AtomicU64,
    ranges: AtomicU64,
    opens: AtomicU64,
    reads: AtomicU64,
    puts: AtomicU64,
    creates: AtomicU64,
    commits: AtomicU64,
    removes: AtomicU64,
    lists: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl<S: Storage> CountingStorage<S> {
    /// A view of `inner` whose counts start at zero.
    pub fn new(inner: S) -> Self {
        Self { inner, counters: Arc::default() }
    }

    /// What was asked so far, also of readers and uploads.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &*self.counters;
        Counts {
            gets: read(&counters.gets),
            ranges: read(&counters.ranges),
            opens: read(&counters.opens),
            reads: read(&counters.reads),
            puts: read(&counters.puts),
            creates: read(&counters.creates),
            commits: read(&counters.commits),
            removes: read(&counters.removes),
            lists: read(&counters.lists),
            bytes_read: read(&counters.bytes_read),
            bytes_written: read(&counters.bytes_written),
        }
    }
}

fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

impl<S: Storage> Storage for CountingStorage<S> {
    fn get(&self, key: &Key) -> Result<Option<Object>> {
        add(&self.counters.gets, 1);
        let found = self.inner.get(key)?;
        add(&self.counters.bytes_read, found.as_ref().map_or(0, |object| object.bytes().len()));
        Ok(found)
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>> {
        add(&self.counters.ranges, 1);
        let found = self.inner.get_range(key, offset, len)?;
        add(&self.counters.bytes_read, found.as_ref().map_or(0, Bytes::len));
        Ok(found)
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>> {
        add(&self.counters.opens, 1);
        let counters = Arc::clone(&self.counters);
        let opened = self.inner.open(key)?;
        Ok(opened.map(|inner| Box::new(CountingReader { inner, counters }) as _))
    }

    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()> {
        add(&self.counters.puts, 1);
        let len = bytes.len();
        self.inner.put(key, bytes, when)?;
        add(&self.counters.bytes_written, len);
        Ok(())
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        add(&self.counters.creates, 1);
        let inner = self.inner.create(key)?;
        Ok(Box::new(CountingUpload { inner, counters: Arc::clone(&self.counters) }))
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        add(&self.counters.removes, 1);
        self.inner.remove(key)
    }

    fn keys(&self, prefix: Option<&Key>) -> Result<Keys<'_>> {
        add(&self.counters.lists, 1);
        self.inner.keys(prefix)
    }

    fn list(&self, prefix: Option<&Key>) -> Result<Entries<'_>> {
        add(&self.counters.lists, 1);
        self.inner.list(prefix)
    }

    fn local_root(&self) -> Option<&Path> {
        self.inner.local_root()
    }
}

#[derive(Debug)]
struct CountingReader {
    inner: Box<dyn ReadAt>,
    counters: Arc<Counters>,
}

impl ReadAt for CountingReader {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        add(&self.counters.reads, 1);
        self.inner.read_at(offset, buf)?;
        add(&self.counters.bytes_read, buf.len());
        Ok(())
    }

    fn is_current(&self) -> bool {
        self.inner.is_current()
    }

    fn file(&self) -> Option<&PublishedFile> {
        self.inner.file()
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn Upload>,
    counters: Arc<Counters>,
}

impl io::Write for CountingUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        add(&self.counters.bytes_written, written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for CountingUpload {
    fn commit(self: Box<Self>, when: PutIf) -> Result<()> {
        add(&self.counters.commits, 1);
        self.inner.commit(when)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::MemoryStorage;

    #[test]
    fn counts_what_is_asked() {
        let storage = CountingStorage::new(MemoryStorage::new());
        let key = Key::new("a").unwrap();
        storage.put(&key, "12345".into(), PutIf::Always).unwrap();
        storage.put(&key, "12345".into(), PutIf::Absent).unwrap_err();
        storage.get(&key).unwrap();
        storage.get_range(&key, 1, 3).unwrap();
        storage.open(&key).unwrap().unwrap().read_at(0, &mut [0; 2]).unwrap();
        let mut upload = storage.create(&key).unwrap();
        upload.write_all(b"123").unwrap();
        upload.commit(PutIf::Always).unwrap();
        storage.remove(&key).unwrap();
        assert_eq!(storage.list(None).unwrap().count(), 0);
        assert_eq!(storage.keys(None).unwrap().count(), 0);
        let expected = Counts {
            gets: 1,
            ranges: 1,
            opens: 1,
            reads: 1,
            puts: 2,
            creates: 1,
            commits: 1,
            removes: 1,
            lists: 2,
            bytes_read: 10,
            bytes_written: 8,
        };
        assert_eq!(storage.counts(), expected);
    }

    #[test]
    fn conforms() {
        crate::testing::conformance(|| CountingStorage::new(MemoryStorage::new()));
    }
}
