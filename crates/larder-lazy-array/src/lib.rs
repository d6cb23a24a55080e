//! Arrays that live on disk until they are touched, under one memory budget, in files that numpy opens.
//!
//! ```
//! use larder_lazy_array::{ArrayStore, MemoryBudget, Options};
//! use ndarray::Array2;
//!
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
//! # let dir = dir.path().join("arrays");
//! let store = ArrayStore::open(&dir, Options::default().budget(MemoryBudget::bytes(1 << 20)))?;
//! let signal = store.insert("chr1/gc", Array2::<f32>::zeros((1000, 4)))?;
//!
//! signal.write()?[[7, 0]] = 0.5; // in memory
//! signal.flush()?; // published: chr1/gc.npy and chr1/gc.meta.json
//! signal.offload()?;
//!
//! assert_eq!(signal.rows(7..8)?[[0, 0]], 0.5); // read from its place in the file
//! assert!(signal.offloaded());
//! assert_eq!(signal.read()?.sum(), 0.5); // loaded
//! # Ok(())
//! # }
//! ```
//!
//! # What GSEGUtils' `lazy_disk_cache` has, and where it is
//!
//! | `lazy_disk_cache` | here |
//! |---|---|
//! | `LazyDiskCache(**settings)`, `DiskBackedNDArray(data)` | a [`LazyArray`] of a store: [`ArrayStore::insert`], [`ArrayStore::insert_with`]; one that is never published: [`ArrayStore::scratch`] |
//! | `enable_caching`, `disable_caching`, `cache_enabled` | [`LazyArray::enable_caching`], [`disable_caching`](LazyArray::disable_caching), [`cache_enabled`](LazyArray::cache_enabled) |
//! | `load("r")`, `load("r+")` | [`LazyArray::read`], [`LazyArray::write`] and [`LazyArray::flush`]: a published file is replaced, never edited in place |
//! | `load("w+")`, `load("c")` | [`LazyArray::overwrite`]; a [scratch](ArrayStore::scratch) copy |
//! | `offload`, `offloaded` | [`LazyArray::offload`], [`LazyArray::offloaded`] |
//! | `automatic_offloading` | [`LazyArray::automatic_offloading`], [`set_automatic_offloading`](LazyArray::set_automatic_offloading) |
//! | `cache_path` | [`LazyArray::cache_path`] |
//! | `enable_purge`, `disable_purge`, `purge_disk_on_gc` | [`LazyArray::enable_purge`], [`disable_purge`](LazyArray::disable_purge), [`purge_on_drop`](LazyArray::purge_on_drop) |
//! | `on_load`, `on_offload` | [`Hooks`], one for a store, told the key |
//! | `ensure_loaded` | the guards: what is done with one is done with a loaded array |
//! | `_describe_shape_dtype` | [`LazyArray::shape`], [`LazyArray::dtype`], [`ArrayStore::info`] |
//! | `_convert_to_memmap` in chunks | [`ArrayWriter`], [`ArrayStore::import_npy`]; a spill copies nothing |
//! | `data`, `__array__`, `__getitem__`, operators | a guard derefs to ndarray's array; operators take `guard.view()`. `__setitem__`, which is missing there, is a write guard's |
//! | `LazyDiskCacheConfig`, `LazyDiskCacheKw`, `updated` | [`ArrayConfig`] and its setters |
//! | `as_kwargs`, `from_kwargs`, `extend_cache_path` | the same: [`ArrayConfig::as_kwargs`], [`from_kwargs`](ArrayConfig::from_kwargs), [`extend_cache_path`](ArrayConfig::extend_cache_path) |
//! | `DiskBackedStore(config=..)` | [`Options::config`], [`ArrayStore::open`] or [`ArrayStore::configured`] |
//! | `factory` | a type of one's own is made from the [`LazyArray`] that an insert returns; to make what is missing: [`ArrayStore::get_or_build`] |
//! | `value_type`, `validator` | [`Options::dtypes`], [`Options::validator`]; [`ArrayStore::get`] is typed |
//! | `add_data_to_store` with overrides | [`ArrayStore::insert_with`]; a key that is there is a `Conflict` |
//! | `store[key]`, `get`, `pop`, `del`, `len`, `in`, `clear` | [`ArrayStore::get`], [`pop`](ArrayStore::pop), [`remove`](ArrayStore::remove), [`len`](ArrayStore::len), [`contains`](ArrayStore::contains), [`clear`](ArrayStore::clear) |
//! | `keys`, `items`, `values`, `store` | [`ArrayStore::keys`], [`items`](ArrayStore::items), [`values`](ArrayStore::values), which load nothing; `items` is the read-only view |
//! | `offload(keys, pickle_container)` | [`ArrayStore::offload`], [`offload_all`](ArrayStore::offload_all), [`Offload`] |
//! | `purge` | [`ArrayStore::purge`] |
//! | `cache_dir` | [`ArrayStore::cache_dir`] |
//! | pickling of wrappers | none: the pair of files is what is exchanged |
//!
//! What it loses or gets wrong has a test here that shows it gone:
//!
//! | in `lazy_disk_cache` | the test |
//! |---|---|
//! | Fortran order is lost | `orders_and_odd_shapes_are_kept` |
//! | `load("w+")` silently zeroes the file | `zeros_take_the_place_of_an_array_that_is_not_loaded_for_it` |
//! | no assignment to elements | `edits_are_published_by_flush_and_not_before` |
//! | no bound on memory, and nothing leaves under pressure | `the_budget_does_what_the_model_does` |
//! | each conversion writes the whole array | `the_least_recently_used_goes_first_and_clean_ones_cost_nothing` |
//! | not thread-safe | `nothing_is_lost_among_threads_without_room`, and random schedules |
//! | a kill between two renames leaves an array beside the sidecar of another | `a_replacement_that_was_killed_half_way_can_be_read_and_repeated`, and a thousand kills |
//! | shape and type in the sidecar are not checked | `what_the_python_package_reads_has_to_be_what_is_read_here` |
//! | a `.npy` without sidecar is listed, but misses | `a_directory_of_the_python_package_is_read_and_edited` |
//! | `w1.1` and `w1.2` share one file | `names_with_dots_are_arrays_of_their_own` |
//! | offloading what is offloaded raises | `some_or_all_leave_memory_with_or_without_being_published` |
//! | files of killed processes stay | `spilled_arrays_lie_in_one_file_without_a_name` |
//!
//! # Guarantees
//!
//! - A published array is a file that is replaced by rename and never written in place. A reader sees the old array or
//!   the new one, also where the writer was killed.
//! - What is read whole is checked against its CRC-32C: every array of less than 64 KiB, every array on a storage that is
//!   not local, what was spilled, and what edits start from before they are published. A larger one on a local disk is mapped
//!   and not checked when it is loaded, unless [`Options::checked`] is set; nor are [`rows`](LazyArray::rows) and slices.
//! - Arrays without a live guard are kept in memory only as far as the [`MemoryBudget`] allows; its figures are exact.
//!   A guard keeps its array in memory.
//! - An array as it was published is offloaded at no I/O. An edited one is spilled to a file without a name, of which
//!   nothing is left when the process ends, however it ends; where a spill fails, the array stays in memory and the error
//!   is returned.
//! - Asking for a guard that would wait for another one of the same array, taken by the same thread and still
//!   alive, is an error, not a deadlock.
//! - A handle never reads or replaces what was inserted under its key after its array was removed through the same
//!   store.
//! - What GSEGUtils 0.6 keeps in a `DiskBackedStore` is read as it is, and it reads what is written here under keys of
//!   one segment.
//! - C and Fortran order are kept, both byte orders are read, and no damaged file panics.
//!
//! # Limits
//!
//! - **Files of a store are for reading.** Whoever writes a published `.npy` in place, as numpy's `mmap_mode="r+"` does,
//!   changes what mapped arrays show, against what Rust may assume of it; whoever cuts one short has the kernel end every
//!   process that touches a mapped page behind the cut (`SIGBUS`). To replace or remove a file is safe. Rows and slices are
//!   never mapped and get an error.
//! - Edits that were not [flushed](LazyArray::flush) go with the process. Edits of several arrays are not published
//!   together.
//! - Guards alone may pass the budget, unless [`WhenPinned`] says otherwise: it then keeps nothing else.
//! - A guard that is sent to another thread counts as that of the thread that took it: that one is refused what the
//!   guard excludes, and the one that has it now waits for itself. Threads that build arrays inside each other's
//!   [`get_or_build`](ArrayStore::get_or_build), in a circle, wait for ever.
//! - A store keeps up to 64 files open to read rows of, and a mapped array keeps the disk space of the file that it was
//!   loaded from.
//! - Rows notice that their file was replaced or removed, but not that a directory above it was moved away.
//! - A `.npy` without its `.meta.json` is a miss, and inserting under its key replaces it. A legacy `.pkl` is
//!   never read.
//! - Two processes that replace one array at the same time are told apart by a lock on a local directory and by a
//!   [lease](larder_storage::flight) elsewhere. Who is paused for longer than its lease in the middle of a replacement may
//!   leave an array that is `Corrupt`.
//! - Element types are booleans, integers, floats of up to 64 bits and complex pairs of these; in a file, bf16 is what
//!   numpy makes of the type of `ml_dtypes`. There are at most 32 axes. Linux and macOS.

mod access;
mod array;
mod budget;
mod changes;
mod config;
mod cut;
mod element;
mod files;
mod guard;
mod hooks;
mod known;
mod layout;
mod memory;
mod npy;
mod options;
mod origin;
mod payload;
mod region;
mod scratch;
mod sidecar;
mod slot;
mod store;
mod sync;
mod writer;

pub use access::Access;
pub use array::LazyArray;
pub use budget::{BudgetFigures, BudgetOptions, MemoryBudget, WhenPinned};
pub use config::ArrayConfig;
pub use element::{DType, Element, ElementWork};
pub use guard::{ReadGuard, WriteGuard};
pub use hooks::Hooks;
pub use options::Options;
pub use sidecar::{FORMAT_VERSION, SCHEMA_FORMAT_VERSION};
pub use store::{ArrayInfo, ArrayStore, Offload, Status, VerifyReport};
pub use writer::ArrayWriter;

// The versions whose types are in this interface.
pub use half;
pub use ndarray;
pub use num_complex;

#[cfg(test)]
#[cfg(shuttle)]
#[path = "tests/schedules.rs"]
mod schedules;
#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
