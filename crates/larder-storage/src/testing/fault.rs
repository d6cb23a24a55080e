use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::{
    Bytes, Entries, Error, ErrorKind, Key, Keys, Object, PublishedFile, PutIf, ReadAt, Result,
    Storage, Upload,
};

/// What goes wrong with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done, and says so.
    Fail,
    /// It is done, but its answer is lost: it says that it failed.
    LoseAnswer,
    /// The process dies before it: every later operation fails as well.
    CrashBefore,
    /// The process dies after it: every later operation fails as well.
    CrashAfter,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] = [Self::Fail, Self::LoseAnswer, Self::CrashBefore, Self::CrashAfter];

    fn crashes(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }

    fn is_done(self) -> bool {
        matches!(self, Self::LoseAnswer | Self::CrashAfter)
    }
}

/// A storage whose nth operation goes wrong.
///
/// Operations are the calls of [`Storage`], [`ReadAt::read_at`], the writes to an upload and its commit. The error is
/// of kind `Io`.
#[derive(Debug)]
pub struct FaultStorage<S> {
    inner: S,
    script: Arc<Script>,
}

#[derive(Debug)]
struct Script {
    nth: u64,
    fault: Fault,
    operations: AtomicU64,
    crashed: AtomicBool,
}

impl<S: Storage> FaultStorage<S> {
    /// A view of `inner` in which the operation number `nth`, counted from 1, meets `fault`.
    pub fn new(inner: S, nth: u64, fault: Fault) -> Self {
        let (operations, crashed) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { inner, script: Arc::new(Script { nth, fault, operations, crashed }) }
    }

    /// Whether the operation that goes wrong was reached.
    pub fn was_hit(&self) -> bool {
        self.script.operations.load(Ordering::SeqCst) >= self.script.nth
    }

    /// The storage as whoever comes next finds it.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

/// Runs `work` again and again with `fault` at its first operation, its second, and so on, each time on a storage of
/// `fresh`, until it comes to its end before the fault; `check` looks at what is left each time. Returns how many
/// operations were faulted.
///
/// # Panics
///
/// Where `check` does.
pub fn sweep<S: Storage>(
    fault: Fault,
    mut fresh: impl FnMut() -> S,
    mut work: impl FnMut(&dyn Storage),
    mut check: impl FnMut(S),
) -> u64 {
    let mut nth = 1;
    loop {
        let storage = FaultStorage::new(fresh(), nth, fault);
        work(&storage);
        let hit = storage.was_hit();
        check(storage.into_inner());
        if !hit {
            return nth - 1;
        }
        nth += 1;
    }
}

impl Script {
    /// Runs the next operation, or what the script makes of it.
    fn run<T>(&self, operation: impl FnOnce() -> Result<T>) -> Result<T> {
        self.run_as(|error| error, operation)
    }

    /// As [`run`](Self::run), with the script's own errors turned into those of the operation.
    fn run_as<T, E>(
        &self,
        error: fn(Error) -> E,
        operation: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let fails = |message| Err(error(Error::new(ErrorKind::Io, message)));
        if self.crashed.load(Ordering::SeqCst) {
            return fails("the process has crashed, as was asked for");
        }
        if self.operations.fetch_add(1, Ordering::SeqCst) + 1 != self.nth {
            return operation();
        }
        self.crashed.store(self.fault.crashes(), Ordering::SeqCst);
        if self.fault.is_done() {
            operation()?;
        }
        fails("failed, as was asked for")
    }
}

impl<S: Storage> Storage for FaultStorage<S> {
    fn get(&self, key: &Key) -> Result<Option<Object>> {
        self.script.run(|| self.inner.get(key))
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>> {
        self.script.run(|| self.inner.get_range(key, offset, len))
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>> {
        let opened = self.script.run(|| self.inner.open(key))?;
        let script = Arc::clone(&self.script);
        Ok(opened.map(|inner| Box::new(FaultReader { inner, script }) as _))
    }

    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()> {
        self.script.run(|| self.inner.put(key, bytes, when))
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        let inner = self.script.run(|| self.inner.create(key))?;
        Ok(Box::new(FaultUpload { inner, script: Arc::clone(&self.script) }))
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.script.run(|| self.inner.remove(key))
    }

    fn keys(&self, prefix: Option<&Key>) -> Result<Keys<'_>> {
        self.script.run(|| self.inner.keys(prefix))
    }

    fn list(&self, prefix: Option<&Key>) -> Result<Entries<'_>> {
        self.script.run(|| self.inner.list(prefix))
    }

    fn local_root(&self) -> Option<&Path> {
        self.inner.local_root()
    }
}

#[derive(Debug)]
struct FaultReader {
    inner: Box<dyn ReadAt>,
    script: Arc<Script>,
}

impl ReadAt for FaultReader {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.script.run(|| self.inner.read_at(offset, buf))
    }

    fn is_current(&self) -> bool {
        self.inner.is_current()
    }

    fn file(&self) -> Option<&PublishedFile> {
        // What is done with a file goes past the script.
        None
    }
}

#[derive(Debug)]
struct FaultUpload {
    inner: Box<dyn Upload>,
    script: Arc<Script>,
}

impl io::Write for FaultUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.script.run_as(io::Error::other, || self.inner.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.script.run_as(io::Error::other, || self.inner.flush())
    }
}

impl Upload for FaultUpload {
    fn commit(self: Box<Self>, when: PutIf) -> Result<()> {
        let Self { inner, script } = *self;
        script.run(|| inner.commit(when))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryStorage, StorageExt, testing::Model};

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn old_state(model: &mut Model) -> MemoryStorage {
        let storage = MemoryStorage::new();
        for name in ["kept", "replaced", "removed"] {
            model.put(&storage, &key(name), "old".into()).unwrap();
        }
        storage
    }

    /// Goes on after each failure, as far as a crash lets it.
    fn work(model: &mut Model, storage: &dyn Storage) -> usize {
        let outcomes = [
            model.put(storage, &key("fresh"), "new".into()),
            model.put(storage, &key("replaced"), "new".into()),
            model.upload(storage, &key("large"), vec![7; 10_000].into()),
            model.remove(storage, &key("removed")),
        ];
        outcomes.iter().filter(|outcome| outcome.is_err()).count()
    }

    #[test]
    fn every_operation_can_go_wrong_and_leaves_the_old_or_the_new() {
        for fault in Fault::ALL {
            let model = std::cell::RefCell::new(Model::new());
            let fresh = || {
                *model.borrow_mut() = Model::new();
                old_state(&mut model.borrow_mut())
            };
            let mut failures = Vec::new();
            let faulted = sweep(
                fault,
                fresh,
                |storage| failures.push(work(&mut model.borrow_mut(), storage)),
                |storage| model.borrow_mut().check(&storage, &format!("{fault:?}")),
            );
            // Two puts, a create, three writes, a commit, a remove.
            assert_eq!(faulted, 8);
            assert_eq!(failures.pop(), Some(0), "the last run meets no fault");
            let crashed = [4, 3, 2, 2, 2, 2, 2, 1];
            let expected = if fault.crashes() { crashed } else { [1; 8] };
            assert_eq!(failures, expected, "{fault:?}");
        }
    }

    #[test]
    fn a_lost_answer_is_done_and_a_failure_is_not() {
        for fault in Fault::ALL {
            let storage = FaultStorage::new(MemoryStorage::new(), 1, fault);
            assert!(!storage.was_hit());
            let error = storage.put(&key("a"), "x".into(), PutIf::Always).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert!(storage.was_hit());
            assert_eq!(storage.get(&key("a")).is_err(), fault.crashes());
            let left = storage.into_inner().get_text(&key("a")).unwrap();
            assert_eq!(left.is_some(), fault.is_done(), "{fault:?}");
        }
    }

    #[test]
    fn reads_fail_too() {
        let inner = MemoryStorage::new();
        inner.put(&key("a"), "12345".into(), PutIf::Always).unwrap();
        let reader_fails = FaultStorage::new(inner, 2, Fault::Fail);
        let reader = reader_fails.open(&key("a")).unwrap().unwrap();
        let mut buf = [0; 5];
        assert_eq!(reader.read_at(0, &mut buf).unwrap_err().kind(), ErrorKind::Io);
        reader.read_at(0, &mut buf).unwrap();
        assert_eq!((&buf, reader.len()), (b"12345", 5));
        assert_eq!(reader_fails.list(None).unwrap().count(), 1);
    }

    #[test]
    #[should_panic(expected = "none of the 1 states allowed")]
    fn the_model_sees_a_torn_object() {
        let (storage, mut model) = (MemoryStorage::new(), Model::new());
        model.put(&storage, &key("a"), "whole".into()).unwrap();
        storage.put(&key("a"), "who".into(), PutIf::Always).unwrap();
        model.check(&storage, "torn");
    }

    #[test]
    #[should_panic(expected = "nobody put")]
    fn the_model_sees_what_nobody_put() {
        let storage = MemoryStorage::new();
        storage.put(&key("a"), "x".into(), PutIf::Always).unwrap();
        Model::new().check(&storage, "stray");
    }

    #[test]
    fn a_storage_that_meets_no_fault_conforms() {
        crate::testing::conformance(|| {
            FaultStorage::new(MemoryStorage::new(), u64::MAX, Fault::Fail)
        });
    }
}
