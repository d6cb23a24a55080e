use std::path::{self, Path, PathBuf};

use larder_storage::{
    Durability, Error, ErrorKind, Key, LocalStorage, Result, Storage, Upload, default_root,
    flight::Lease, publish::Stage,
};
use ndarray::{Array, Dimension};
use serde::Serialize;

use crate::{
    ArrayConfig, ArrayWriter, BudgetFigures, DType, Element, LazyArray, MemoryBudget, Options,
    config::Keeping,
    files::{self, Files, Pair},
    hooks::Departed,
    known::Known,
    layout::{self, Layout},
    memory::Memory,
    npy::Header,
    options::Admission,
    origin::Origin,
    scratch::Scratch,
    sidecar::Stamp,
    slot::{Shared, Slot, Tracked},
    sync::Arc,
};

mod mapping;
mod npy;
mod verify;

pub use mapping::Offload;
pub use verify::VerifyReport;

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
    config: ArrayConfig,
    admission: Admission,
}

impl ArrayStore {
    /// Opens the directory `dir`, and makes it where it is missing. One that GSEGUtils wrote is read as it is.
    ///
    /// # Errors
    ///
    /// As [`LocalStorage::open`].
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        let storage = LocalStorage::open(dir, options.durability)?;
        Self::on(Arc::new(storage), options)
    }

    /// Opens the directory that the [configuration](Options::config) names.
    ///
    /// # Errors
    ///
    /// `Invalid` where it names none; otherwise as [`open`](Self::open).
    pub fn configured(options: Options) -> Result<Self> {
        let Some(dir) = options.config.directory().map(Path::to_owned) else {
            let message = "the configuration names no directory: set its cache_path";
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        Self::open(dir, options)
    }

    /// A store on any storage. Of those who publish under one key, one goes on at a time; on a storage that is not local, they
    /// hold a [lease](larder_storage::flight::Flights::on) on it, an object of a few bytes for each key that was changed.
    ///
    /// # Errors
    ///
    /// As [`Flights::on`](larder_storage::flight::Flights::on), which fails with none of the defaults.
    pub fn on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        let own = || storage.local_root().map(Path::to_owned);
        let scratch = options.scratch.or_else(own).unwrap_or_else(default_scratch);
        // The same place whatever the working directory becomes: it is made with the first spill.
        let scratch = path::absolute(&scratch).unwrap_or(scratch);
        let shared = Shared {
            files: Files::new(storage)?,
            // What is spilled dies with the process, so it is never flushed to the device.
            scratch: Scratch::new(Stage::new(scratch, Durability::Scratch)),
            budget: options.budget,
            checked: options.checked,
            hooks: options.hooks,
        };
        Ok(Self {
            shared: Arc::new(shared),
            known: Known::default(),
            config: options.config,
            admission: options.admission,
        })
    }

    /// Publishes a new array. It stays in memory where the budget has room for it. C and Fortran order are kept, any
    /// other becomes C order.
    ///
    /// # Errors
    ///
    /// `Conflict` where the key has an array; `Invalid` where the key breaks a rule, the array has more than 32
    /// axes, or the store [takes no such arrays](Options::dtypes); what a [validator](Options::validator) says; `Full` or
    /// `Io` where arrays cannot be spilled to make room; `Full`, `Io` or `Backend` where the storage fails. Nothing is
    /// published then.
    pub fn insert<A: Element, D: Dimension>(
        &self,
        key: &str,
        array: Array<A, D>,
    ) -> Result<LazyArray<A>> {
        self.insert_with(key, array, &self.config)
    }

    /// As [`insert`](Self::insert), with a configuration of its own, such as that of [the store](Self::config) with one
    /// setting changed.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_with<A: Element, D: Dimension>(
        &self,
        key: &str,
        array: Array<A, D>,
        config: &ArrayConfig,
    ) -> Result<LazyArray<A>> {
        let key = Key::new(key)?;
        self.insert_new(key.clone(), array, config).map_err(|error| files::place(error, &key))
    }

    fn insert_new<A: Element, D: Dimension>(
        &self,
        key: Key,
        array: Array<A, D>,
        config: &ArrayConfig,
    ) -> Result<LazyArray<A>> {
        let files = &self.shared.files;
        // Before room is made for it, and again where nobody else can insert it any more.
        files.refuse_existing(&key)?;
        let (elements, layout) = layout::compact(array)?;
        self.admit(&key, A::DTYPE, &layout)?;
        let mut departed = Departed::default();
        let room = self.budget().try_reserve(layout.bytes::<A>(), &mut departed)?;
        let (upload, stamp) = files.stage::<A>(&key, &layout, |staged| staged.append(&elements))?;
        let lease = self.publish_new(&key, upload, &stamp, config)?;
        let (shared, keeping) = (Arc::clone(&self.shared), config.keeping());
        let origin = Origin::written(stamp);
        let slot = match room {
            Some(room) => {
                room.keep();
                Slot::resident(shared, key, layout, Memory::heap(elements), keeping, origin)
            }
            None => Slot::published(shared, key, layout, keeping, Some(origin)),
        };
        let array = self.know(slot, keeping);
        drop(lease);
        Ok(array)
    }

    /// An array that is never published: it is in memory or in the scratch file, as the budget has room, and gone with its
    /// last handle, or with the process. A copy of another array that may be edited and never is published, as numpy's
    /// mode `c` gives, is `store.scratch(array.read()?.to_owned())`.
    ///
    /// # Errors
    ///
    /// `Invalid` where the array has more than 32 axes; `Full` or `Io` where neither memory nor the scratch file has room.
    pub fn scratch<A: Element, D: Dimension>(&self, array: Array<A, D>) -> Result<LazyArray<A>> {
        let (elements, layout) = layout::compact(array)?;
        Slot::scratch(Arc::clone(&self.shared), layout, elements).map(LazyArray)
    }

    /// A handle on what was just published. The lease is still held, so that nobody has removed it.
    fn know<A: Element>(&self, slot: Arc<Slot<A>>, keeping: Keeping) -> LazyArray<A> {
        // Somebody may have got it since it was published.
        let known = self.known.share(Arc::clone(&slot), |_| true).unwrap_or(slot);
        known.keep(keeping);
        LazyArray(known)
    }

    /// Publishes what was written out of sight, where there is no array yet. The lease is that of the key.
    fn publish_new(
        &self,
        key: &Key,
        upload: Box<dyn Upload>,
        stamp: &Stamp,
        config: &ArrayConfig,
    ) -> Result<Lease<'_>> {
        let files = self.files();
        let lease = files.lease(key)?;
        files.refuse_existing(key)?;
        // What is known is a removed array; another process may have removed it.
        self.known.forget(key);
        files.publish(key, upload, stamp, config, &lease)?;
        Ok(lease)
    }

    /// Begins a new array of this shape, in C order, that is written row by row and never held in memory.
    ///
    /// # Errors
    ///
    /// `Conflict` where the key has an array; `Invalid` where the key breaks a rule, or the shape has no axis, more than 32,
    /// or overflows, or the store [takes no such arrays](Options::dtypes); `Full`, `Io` or `Backend` where the storage fails.
    pub fn writer<A: Element>(&self, key: &str, shape: &[usize]) -> Result<ArrayWriter<'_, A>> {
        ArrayWriter::begin(self, Key::new(key)?, shape)
    }

    pub(crate) fn files(&self) -> &Files {
        &self.shared.files
    }

    pub(crate) fn admit(&self, key: &Key, dtype: DType, layout: &Layout) -> Result<()> {
        self.admission.admit(key, &ArrayInfo::of_layout(dtype, layout))
    }

    /// Publishes what was written out of sight.
    pub(crate) fn publish<A: Element>(
        &self,
        key: Key,
        layout: Layout,
        upload: Box<dyn Upload>,
        stamp: Stamp,
    ) -> Result<LazyArray<A>> {
        let lease = self.publish_new(&key, upload, &stamp, &self.config)?;
        let (shared, keeping) = (Arc::clone(&self.shared), self.config.keeping());
        let origin = Some(Origin::written(stamp));
        let array = self.know(Slot::published(shared, key, layout, keeping, origin), keeping);
        drop(lease);
        Ok(array)
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
                Ok((pair.header.layout.clone(), pair.seen(), pair.origin()?))
            })?;
            let Some((layout, seen, origin)) = found else { return Ok(None) };
            let origin = Some(origin);
            // What the sidecar says of its removal is not meant for whoever only reads it.
            let keeping = Keeping { purge: false, ..self.config.keeping() };
            let shared = Arc::clone(&self.shared);
            let fresh = Slot::<A>::published(shared, key.clone(), layout, keeping, origin);
            // What came in since the file was looked at may be newer than it: then look again.
            let unchanged = |now: Option<&Arc<dyn Tracked>>| {
                now.map(Arc::as_ptr) == before.as_ref().map(Arc::as_ptr)
            };
            if let Some(slot) = self.known.share(fresh, unchanged) {
                slot.refresh(&seen)?;
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

    /// Publishes the edits of every array. All are tried.
    ///
    /// # Errors
    ///
    /// The first one of [`LazyArray::flush`].
    pub fn flush_all(&self) -> Result<()> {
        let tried: Vec<_> = self.known.all().into_iter().map(Tracked::flush).collect();
        tried.into_iter().collect()
    }

    /// The configuration of new arrays.
    pub fn config(&self) -> &ArrayConfig {
        &self.config
    }

    /// The directory of the store, where the storage is local.
    pub fn cache_dir(&self) -> Option<&Path> {
        self.shared.files.storage().local_root()
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
        Self::of_header(&pair.header)
    }

    fn of_header(header: &Header) -> Self {
        Self::of_layout(header.dtype, &header.layout)
    }

    fn of_layout(dtype: DType, layout: &Layout) -> Self {
        Self {
            shape: layout.shape.clone(),
            dtype,
            bytes: (layout.len() * dtype.size()) as u64,
            fortran_order: layout.fortran_order,
        }
    }
}
