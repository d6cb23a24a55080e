use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use larder_storage::{Key, Result, Storage, default_root};

use crate::{
    Options, Statistics, Status, VerifyReport,
    engine::Engine,
    namespace,
    options::Autosave,
    pending::Pending,
    published::{self, Published},
    saver::Saver,
    sqlite::Sqlite,
    statistics::Counters,
};

mod compute;
mod encode;
mod read;
mod transfer;
mod write;

pub use transfer::ImportReport;

/// One namespace of text keys and values of any serde type, in a database that threads and processes share.
///
/// Entries have an order: that in which their keys were first set. A key that is set again keeps its place; one that
/// was invalidated, was cleared or expired in between goes to the end.
pub struct KvCache {
    namespace: String,
    engine: Arc<dyn Engine>,
    /// There only where writes wait for [`save`](Self::save).
    pending: Option<Arc<Mutex<Pending>>>,
    /// There only where they wait no longer than so.
    saver: Option<Saver>,
    counters: Counters,
    options: Options,
}

impl KvCache {
    /// The most bytes that a key may have.
    pub const MAX_KEY_LEN: usize = 4096;

    /// The most bytes that a value may have as JSON: SQLite's limit of 10⁹ for a row, with room for the rest of it.
    pub const MAX_VALUE_LEN: usize = crate::value::MAX_LEN;

    /// Opens the cache `namespace` of the directory `dir`, and makes both where they are missing.
    ///
    /// # Errors
    ///
    /// `Invalid` where the namespace needs more than 200 bytes as a file name; `Corrupt` where the database is damaged;
    /// `Format` where it belongs to another program or a newer version; `Unsupported` on a network file system; `Io` where
    /// it cannot be opened.
    pub fn open(dir: impl AsRef<Path>, namespace: &str, options: Options) -> Result<Self> {
        let engine = Sqlite::open(dir.as_ref(), namespace, &options)?;
        Self::new(namespace, Arc::new(engine), options)
    }

    /// Opens the cache `namespace` as one JSON document on a storage, `<namespace>.json`, of at most 16 MiB: the file that
    /// VmaxBuilder's `LookupCache` keeps, which reads it and is read at any time.
    ///
    /// Each write writes the whole document under a condition, and again where others came first, so that Larder's
    /// writers lose no update of each other's, on an object store either. Reads on local storage see what is there; on
    /// other storages what this value last wrote, or read by [`reload`](Self::reload).
    ///
    /// # Errors
    ///
    /// `Unsupported` where the options have a time to live or a capacity, for which a plain document has no room;
    /// `Corrupt` where the document is damaged; `Format` where it is no JSON object; else those of the storage.
    pub fn open_document(
        storage: Arc<dyn Storage>,
        namespace: &str,
        options: Options,
    ) -> Result<Self> {
        let engine = Published::open(storage, namespace, &options)?;
        Self::new(namespace, Arc::new(engine), options)
    }

    fn new(namespace: &str, engine: Arc<dyn Engine>, options: Options) -> Result<Self> {
        let pending = (options.autosave != Autosave::Always).then(Arc::<Mutex<Pending>>::default);
        let saver = match (&pending, options.autosave) {
            (Some(pending), Autosave::Within(bound)) => {
                let (engine, pending) = (Arc::clone(&engine), Arc::clone(pending));
                let clock = options.clock.clone();
                Some(Saver::start(bound, move || save(&*engine, &pending, clock.now_ns()))?)
            }
            _ => None,
        };
        let (namespace, counters) = (namespace.to_owned(), Counters::default());
        Ok(Self { namespace, engine, pending, saver, counters, options })
    }

    /// Opens the cache `namespace` of the directory `kv` in [`larder_storage::default_root`].
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); `Invalid` where there is no default directory.
    pub fn open_default(namespace: &str, options: Options) -> Result<Self> {
        Self::open(default_root()?.join("kv"), namespace, options)
    }

    /// The namespaces of the directory `dir`, sorted. There are none where it is missing.
    ///
    /// # Errors
    ///
    /// `Io` where it cannot be read.
    pub fn namespaces(dir: impl AsRef<Path>) -> Result<Vec<String>> {
        namespace::list(dir.as_ref())
    }

    /// Copies a damaged document aside and puts an empty one in its place, unless it changed in between; says where the
    /// copy is. `None` where the document is sound or missing.
    ///
    /// # Errors
    ///
    /// `Format` where it is no JSON object; `Conflict` where somebody else mended it meanwhile; else those of the storage.
    pub fn repair_document(storage: &dyn Storage, namespace: &str) -> Result<Option<Key>> {
        published::repair(storage, namespace)
    }

    /// Moves a damaged database aside, and says where to; the next [`open`](Self::open) begins an empty one. `None`
    /// where the database is sound or missing: single damaged values are set again or invalidated instead.
    ///
    /// # Errors
    ///
    /// `Locked` where anybody has it open; `Format` where it is not ours; `Invalid` as [`open`](Self::open);
    /// `Io` where it cannot be read or moved.
    pub fn repair(dir: impl AsRef<Path>, namespace: &str) -> Result<Option<PathBuf>> {
        Sqlite::repair(dir.as_ref(), namespace)
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The absolute path of the database's file, or of the document: its file or, where the storage has none, its key.
    pub fn path(&self) -> &Path {
        self.engine.path()
    }

    /// The figures of this cache.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn status(&self) -> Result<Status> {
        let unsaved = self.pending().map_or(0, |pending| pending.len() as u64);
        Ok(Status { unsaved, ..self.engine.status(self.now())? })
    }

    /// What this value did since it was opened.
    pub fn statistics(&self) -> Statistics {
        self.counters.statistics(self.engine.evictions())
    }

    /// Reads everything that is saved, and checks the database's structure and each value's checksum.
    ///
    /// # Errors
    ///
    /// Those of the database, but not `Corrupt`: damage is what the report is for.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.engine.verify()
    }

    /// Gives the space of what was removed, was cleared or has expired back to the file system. It writes the whole
    /// database anew, and other writers wait for it.
    ///
    /// # Errors
    ///
    /// Those of the database; `Full` where there is no room for a second copy.
    pub fn vacuum(&self) -> Result<()> {
        tracing::debug!(namespace = self.namespace, "vacuum");
        self.engine.vacuum(self.now())
    }

    fn now(&self) -> i64 {
        self.options.clock.now_ns()
    }

    fn pending(&self) -> Option<MutexGuard<'_, Pending>> {
        self.pending.as_ref().map(|pending| lock(pending))
    }

    /// Something waits to be saved.
    fn wake_saver(&self) {
        if let Some(saver) = &self.saver {
            saver.wake();
        }
    }
}

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Saves all of it or, where that fails, nothing, and then it is still held.
fn save(engine: &dyn Engine, pending: &Mutex<Pending>, now: i64) -> Result<()> {
    let mut pending = lock(pending);
    if !pending.is_empty() {
        engine.write(&pending.writes(), now)?;
        *pending = Pending::default();
    }
    Ok(())
}

/// Ends the thread that saves, and saves what is held in memory. Nobody hears of a failure here, so whoever needs to
/// know calls [`save`](KvCache::save) before.
impl Drop for KvCache {
    fn drop(&mut self) {
        drop(self.saver.take());
        let _unheard = self.save();
        self.engine.close();
    }
}

impl fmt::Debug for KvCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvCache")
            .field("namespace", &self.namespace)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
