use std::{
    path::{self, Path, PathBuf},
    sync::Arc,
};

use larder_storage::{
    Durability, Key, LocalStorage, Result, Storage, Upload, default_root, publish::Stage,
};
use ndarray::{Array, Dimension};
use serde::Serialize;

use crate::{
    ArrayWriter, BudgetFigures, DType, Element, LazyArray, MemoryBudget,
    files::{Files, Pair},
    known::Known,
    layout::{self, Layout},
    npy::Header,
    sidecar::Stamp,
    slot::{Shared, Slot, Tracked},
};

mod npy;
mod verify;

pub use verify::VerifyReport;

/// How an [`ArrayStore`] is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    budget: MemoryBudget,
    durability: Durability,
    scratch: Option<PathBuf>,
}

impl Options {
    /// The budget that the arrays in memory count towards; [`MemoryBudget::default`] without one. Stores that are
    /// given clones share it.
    #[must_use]
    pub fn budget(self, budget: MemoryBudget) -> Self {
        Self { budget, ..self }
    }

    /// What published arrays survive, for [`ArrayStore::open`]; a storage of one's own has a durability of its own.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// The directory below which edited arrays are spilled, in `.larder/stage`; without one the store's own, or,
    /// where the storage is not local, `scratch` in [`default_root`] (in the system's temporary directory
    /// without that).
    #[must_use]
    pub fn scratch(self, directory: impl Into<PathBuf>) -> Self {
        Self { scratch: Some(directory.into()), ..self }
    }
}

/// What is known of an array without loading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArrayInfo {
    /// The lengths of the axes.
    pub shape: Vec<usize>,
    /// The type of the elements.
    pub dtype: DType,
    /// The size of the elements in bytes.
    pub bytes: u64,
    /// Whether the first axis varies fastest in the file.
    pub fortran_order: bool,
}

/// Figures of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// How many arrays are published.
    pub arrays: u64,
    /// The size of their files in bytes, without the sidecars.
    pub bytes: u64,
    /// Keys of which only the array or only the sidecar is there, as a killed process leaves them; they are misses.
    pub incomplete: u64,
    /// How many arrays have edits that are not published.
    pub dirty: u64,
    /// The limit of the memory budget in bytes.
    pub budget_limit: u64,
    /// What the memory budget has seen, from all stores that share it.
    pub budget: BudgetFigures,
}

/// Named arrays on a storage, each a `.npy` file with a `.meta.json` beside it, kept in memory within a budget.
///
/// All handles on one key that a store gives out are the same array. A store remembers every array it gave out, but
/// not its elements: those are in memory only as far as the budget allows.
#[derive(Debug)]
pub struct ArrayStore {
    shared: Arc<Shared>,
    known: Known,
}

impl ArrayStore {
    /// Opens the directory `dir`, and makes it where it is missing. One that GSEGUtils wrote is read as it is.
    ///
    /// # Errors
    ///
    /// As [`LocalStorage::open`].
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        let storage = LocalStorage::open(dir, options.durability)?;
        Ok(Self::on(Arc::new(storage), options))
    }

    /// A store on any storage.
    pub fn on(storage: Arc<dyn Storage>, options: Options) -> Self {
        let own = || storage.local_root().map(Path::to_owned);
        let scratch = options.scratch.or_else(own).unwrap_or_else(default_scratch);
        // The same place whatever the working directory becomes: it is made with the first spill.
        let scratch = path::absolute(&scratch).unwrap_or(scratch);
        let shared = Shared {
            files: Files::new(storage),
            // What is spilled dies with the process, so it is never flushed to the device.
            stage: Stage::new(scratch, Durability::Scratch),
            budget: options.budget,
        };
        Self { shared: Arc::new(shared), known: Known::default() }
    }

    /// Publishes a new array. It stays in memory where the budget has room for it. C and Fortran order are kept, any
    /// other becomes C order.
    ///
    /// # Errors
    ///
    /// `Conflict` where the key has an array; `Invalid` where the key breaks a rule or the array has more than 32
    /// axes; `Full` or `Io` where arrays cannot be spilled to make room; `Full`, `Io` or `Backend` where
    /// the storage fails. Nothing is published then.
    pub fn insert<A: Element, D: Dimension>(
        &self,
        key: &str,
        array: Array<A, D>,
    ) -> Result<LazyArray<A>> {
        let key = Key::new(key)?;
        let files = &self.shared.files;
        // Before room is made for it, and again where nobody else can insert it any more.
        files.refuse_existing(&key)?;
        let (array, layout) = layout::compact(array).map_err(|error| error.at_key(&key))?;
        let room = self.budget().try_reserve(layout.bytes::<A>())?;
        let _lease = files.lease(&key)?;
        files.refuse_existing(&key)?;
        // What is known is a removed array; another process may have removed it.
        self.known.forget(&key);
        let stamp = files.insert(&key, &array, &layout)?;
        let shared = Arc::clone(&self.shared);
        let slot = match room {
            Some(room) => {
                room.keep();
                Slot::resident(shared, key, layout, array, stamp)
            }
            None => Slot::published(shared, key, layout),
        };
        // Somebody may have got it since it was published.
        let known = self.known.share(Arc::clone(&slot), |_| true);
        Ok(LazyArray(known.unwrap_or(slot)))
    }

    /// Begins a new array of this shape, in C order, that is written row by row and never held in memory.
    ///
    /// # Errors
    ///
    /// `Conflict` where the key has an array; `Invalid` where the key breaks a rule, or the shape has no axis, more than 32,
    /// or overflows; `Full`, `Io` or `Backend` where the storage fails.
    pub fn writer<A: Element>(&self, key: &str, shape: &[usize]) -> Result<ArrayWriter<'_, A>> {
        ArrayWriter::begin(self, Key::new(key)?, shape)
    }

    pub(crate) fn files(&self) -> &Files {
        &self.shared.files
    }

    /// Publishes what was written out of sight.
    pub(crate) fn publish<A: Element>(
        &self,
        key: Key,
        layout: Layout,
        upload: Box<dyn Upload>,
        stamp: &Stamp,
    ) -> Result<LazyArray<A>> {
        let files = self.files();
        let _lease = files.lease(&key)?;
        files.refuse_existing(&key)?;
        // What is known is a removed array; another process may have removed it.
        self.known.forget(&key);
        files.publish(&key, upload, stamp)?;
        let slot = Slot::published(Arc::clone(&self.shared), key, layout);
        // Somebody may have got it since it was published.
        let known = self.known.share(Arc::clone(&slot), |_| true);
        Ok(LazyArray(known.unwrap_or(slot)))
    }

    /// The array of that key, of which only the sidecar and the header are read.
    ///
    /// # Errors
    ///
    /// `Invalid` where the elements are not of type `A` or the key breaks a rule; `Corrupt` where the file is
    /// damaged or its sidecar describes another; `Format` where either is of another program or of a later version;
    /// `Unsupported` where the elements are of a type that no [`Element`] is; `Io` or `Backend` where the
    /// storage fails.
    pub fn get<A: Element>(&self, key: &str) -> Result<Option<LazyArray<A>>> {
        let key = Key::new(key)?;
        loop {
            let before = self.known.get(&key);
            let found = self.shared.files.with(&key, |pair| {
                pair.check_dtype(A::DTYPE)?;
                Ok((pair.header.layout.clone(), pair.newest().cloned()))
            })?;
            let Some((layout, newest)) = found else { return Ok(None) };
            let fresh = Slot::<A>::published(Arc::clone(&self.shared), key.clone(), layout);
            // What came in since the file was looked at may be newer than it: then look again.
            let unchanged =
                |now: Option<&Arc<_>>| now.map(Arc::as_ptr) == before.as_ref().map(Arc::as_ptr);
            if let Some(slot) = self.known.share(fresh, unchanged) {
                slot.refresh(newest.as_ref())?;
                return Ok(Some(LazyArray(slot)));
            }
        }
    }

    /// What is known of an array without loading it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), for any element type.
    pub fn info(&self, key: &str) -> Result<Option<ArrayInfo>> {
        self.shared.files.with(&Key::new(key)?, |pair| Ok(ArrayInfo::of(pair)))
    }

    /// Whether the key has an array. It is not looked into.
    ///
    /// # Errors
    ///
    /// `Invalid` where the key breaks a rule; `Io` or `Backend` where the storage fails.
    pub fn contains(&self, key: &str) -> Result<bool> {
        self.shared.files.contains(&Key::new(key)?)
    }

    /// The keys of all arrays, in order. A file without its other half is no array.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the storage fails.
    pub fn keys(&self) -> Result<Vec<Key>> {
        let found = self.shared.files.list()?.into_iter();
        Ok(found.filter(|(_, found)| found.is_pair()).map(|(key, _)| key).collect())
    }

    /// Removes an array, and what a killed process left of one; whether there was one. Its handles keep their guards
    /// and edits, and what else is in memory until that is offloaded, but publish nothing any more.
    ///
    /// # Errors
    ///
    /// `Invalid` where the key breaks a rule; `Io` or `Backend` where the storage fails.
    pub fn remove(&self, key: &str) -> Result<bool> {
        let key = Key::new(key)?;
        let _lease = self.shared.files.lease(&key)?;
        let removed = self.shared.files.remove(&key)?;
        self.known.forget(&key);
        Ok(removed)
    }

    /// Takes every array out of memory that has no live guard; how many are out now. All are tried.
    ///
    /// # Errors
    ///
    /// The first one of [`LazyArray::offload`].
    pub fn offload_all(&self) -> Result<usize> {
        let tried: Vec<_> = self.known.all().iter().map(|array| array.offload()).collect();
        tried.into_iter().try_fold(0, |count, outcome| Ok(count + usize::from(outcome?)))
    }

    /// Publishes the edits of every array. All are tried.
    ///
    /// # Errors
    ///
    /// The first one of [`LazyArray::flush`].
    pub fn flush_all(&self) -> Result<()> {
        let tried: Vec<_> = self.known.all().into_iter().map(Tracked::flush).collect();
        tried.into_iter().collect()
    }

    /// The budget that the arrays in memory count towards.
    pub fn budget(&self) -> &MemoryBudget {
        &self.shared.budget
    }

    /// Figures of the store; no array is looked into.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys).
    pub fn status(&self) -> Result<Status> {
        let found = self.shared.files.list()?;
        let arrays = || found.values().filter(|found| found.is_pair());
        Ok(Status {
            arrays: arrays().count() as u64,
            bytes: arrays().filter_map(|found| found.array).sum(),
            incomplete: found.values().filter(|found| !found.is_pair()).count() as u64,
            dirty: self.known.all().iter().filter(|array| array.is_dirty()).count() as u64,
            budget_limit: self.budget().limit(),
            budget: self.budget().figures(),
        })
    }
}

/// Not the temporary directory at first, for that one may lie in memory.
fn default_scratch() -> PathBuf {
    default_root().unwrap_or_else(|_| std::env::temp_dir().join("larder")).join("scratch")
}

impl ArrayInfo {
    fn of(pair: &Pair) -> Self {
        Self::new(&pair.header)
    }

    fn new(header: &Header) -> Self {
        let (dtype, layout) = (header.dtype, &header.layout);
        Self {
            shape: layout.shape.clone(),
            dtype,
            bytes: (layout.len() * dtype.size()) as u64,
            fortran_order: layout.fortran_order,
        }
    }
}
