//! Directories as cache entries: built once, published whole, leased while in use, and evicted by a policy.
//!
//! ```
//! use larder_dir_cache::{DirCache, Options};
//! use larder_storage::Error;
//!
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| Error::io(e, "cannot make a directory"))?;
//! # let root = dir.path().join("cache");
//! let cache = DirCache::open(&root, Options::new(50 << 30))?; // evict above 50 GiB
//!
//! let lease = cache.get_or_build("ab/cd/model_abc123", |stage| {
//!     let mesh = std::fs::File::create(stage.join("mesh.vtu"));
//!     mesh.map(drop).map_err(|error| Error::io(error, "cannot write the mesh").at_path(stage))
//! })?;
//! assert!(lease.built() && lease.path().join("mesh.vtu").exists());
//!
//! // The next one finds it there, and while either lease lives no process evicts it.
//! let again = cache.get("ab/cd/model_abc123")?.expect("it was just built");
//! assert!(!again.built());
//! assert_eq!(cache.entries()?[0].access_count, 2);
//! # Ok(())
//! # }
//! ```
//!
//! # What vcti-file-cache 1.0.0 has, and where it is
//!
//! | `vcti.filecache` | here |
//! |---|---|
//! | `FileCache(root=..)`, `with` | [`DirCache::open`]; dropping it runs the last cycle |
//! | `FileCache(storage=..)`, `storage` | [`DirCache::open_on`], [`storage`](DirCache::storage), [`root`](DirCache::root) |
//! | `model(path)`: made if missing, counted, touched at the end | [`DirCache::model`], [`Lease`]; entries that appear whole: [`get_or_build`](DirCache::get_or_build), [`get`](DirCache::get) |
//! | `ModelDir`: `path`, `exists` | [`Lease::path`], [`Lease::exists`] |
//! | `entries`, `ModelInfo`, `age` | [`DirCache::entries`], [`EntryInfo`], [`EntryInfo::age`] |
//! | `snapshot`, `CacheSnapshot` | [`DirCache::snapshot`], [`Snapshot`] |
//! | `total_size`, `entry_count`, `is_over_limit`, `overage` | the same; none looks at a file |
//! | `evict(policy)` | [`DirCache::evict`], [`evict_with`](DirCache::evict_with); what would go: [`would_evict`](DirCache::would_evict) |
//! | `CacheManagerConfig` and its checks | [`Options`]: [`evict_above`](Options::evict_above), [`policy`](Options::policy), [`interval`](Options::interval), [`observer`](Options::observer) |
//! | `CacheManager`: a thread for each root of a process, shared and counted | a thread for each [`DirCache`], of which one among all processes leads; a fork opens the cache anew |
//! | first cycle at once, then each interval, a last one at shutdown | the same |
//! | `run_once`, `run_eviction` | [`DirCache::run_once`], with [`Options::background`] off if nothing else is to run |
//! | `CacheObserver`, `LoggingObserver` | [`Observer`], [`LoggingObserver`], which logs by `tracing` |
//! | `EvictionPolicy.select_evictions` | [`Policy::victims`]; [`Policy::priority`] is what it may remember of an entry |
//! | `LruPolicy` (default), `LfuPolicy`, `SizedLruPolicy` | [`Lru`], [`Lfu`], [`SizedLru`]; the default is [`Gdsf`] |
//! | `CacheStorage`: `key`, `model_path`, `dir_exists` | [`DirCache::root`], [`Lease::path`], [`DirCache::contains`] |
//! | `create_dir`, `touch_access`, `delete_dir` | [`DirCache::model`], [`get`](DirCache::get), [`remove`](DirCache::remove) |
//! | `read_meta`, `write_meta`, `scan_entries` | [`DirCache::entries`]; `.cache_meta` is kept by the cache, and read at open and by [`recount`](DirCache::recount) |
//! | `compute_dir_size`, `cleanup_temp_files` | [`DirCache::recount`]; left files go at open |
//! | a `CacheStorage` of one's own, as on S3 | [`DirCache::with_remote`], a tier above on any `Storage`: entries in use are directories of a local disk |
//!
//! What it gets wrong has a test here that shows it gone:
//!
//! | in vcti-file-cache | here | the test |
//! |---|---|---|
//! | evicts a directory inside its own `with` | who evicts needs a lock that leases exclude | `an_entry_in_use_is_not_evicted` |
//! | loses counts of accesses | each is one append, added up in one transaction | `no_access_is_lost` |
//! | a size is 0 until a cycle, so a limit is passed unseen | measured before publication | `a_size_is_known_before_any_cycle` |
//! | evicts entries of size 0, to free nothing | they stay | `one_overage_costs_one_entry_and_no_empty_one` |
//! | nested entries count twice, and go with the one above | refused; of those that are there, the one above is the entry | `entries_do_not_nest`, `nested_entries_of_the_package_count_once` |
//! | a second opener's settings are ignored | a `Conflict` that names what differs | `all_who_have_a_cache_open_agree` |
//! | one oversized entry empties the cache | refused, and where one grew in its place, it goes alone | `an_oversized_entry_is_refused_and_the_others_stay` |
//! | `delete_dir("")` removes the root | the empty key is none | `keys_that_would_leave_the_cache_or_meet_its_files_are_refused` |
//! | sparse and hard-linked files are miscounted | blocks are counted, each inode once | `sizes_are_what_the_disk_has` |
//! | killed while it deletes, it leaves half a directory that nobody counts | renamed away first; counted until it is gone | `what_a_killed_remover_left_in_the_trash_is_deleted_at_the_next_open`, `a_remover_that_was_killed_between_the_rename_and_the_index_is_completed` |
//! | an odd `.cache_meta` stops all eviction, or counts as 0 in silence | told to the observer and by [`verify`](DirCache::verify); its accesses count from 0, and the next one replaces it | `malformed_metadata_is_told_and_stops_nothing` |
//! | judges temporary files by process id | by a lock that their writer holds | `what_a_dead_builder_left_goes_and_what_a_living_one_writes_stays` |
//! | every process runs its own eviction | one leads, another when it ends | `one_of_all_who_have_a_cache_open_leads` |
//!
//! # Guarantees
//!
//! - What [`get_or_build`](DirCache::get_or_build) makes appears by one rename, with all its files, or not at all. A builder
//!   that fails, panics or is killed leaves nothing, and the next one who asks builds.
//! - One key is built by one thread of one process at a time; the others wait and then find it.
//! - While a [`Lease`] lives, no process evicts or removes its entry. The lease of a killed process is free at once.
//! - The sum of the sizes, the number of entries and what counts against the limit are kept by the index in the
//!   transaction that changes an entry. None looks at a file.
//! - Each lease that is taken is counted once, whichever process took it and however that ended.
//! - Under a hard [`Options::limit`], what lies in entries, what their builders have reserved and what is being deleted never
//!   add up to more: room is made before a build starts, or the build fails with `Full`.
//! - What is removed is renamed out of its place first, and deleted then. A removal that was interrupted goes on at the
//!   next open or cycle. What cannot be renamed stays an entry.
//! - Of all processes that have the root open with a background thread, one runs the cycles; when it ends or dies, another
//!   one does within one interval.
//! - All who have a root open have the same threshold, limit, interval, time to live, policy and measure. Whoever comes
//!   with others is refused, and [`DirCache::open_existing`] takes those that are there.
//! - An expired entry is not handed out. It goes when its key is built again, or in a cycle, pinned or not, and never while it
//!   is in use: who wants to build it meanwhile is told so (`Locked`).
//! - After a restart of the machine, the first lease on an entry that was not published at `Power` checks the names and lengths
//!   of its files. An entry that lost some is removed and built again.
//! - Nothing outside the root is touched: keys are validated, and symbolic links on the way to an entry are refused.
//! - With a [remote tier](DirCache::with_remote), a fleet of roots builds each entry once: the others fetch it, and it is
//!   an entry only when its digest and its listing agree. A storage that fails or is damaged costs a build and no more.
//! - `.cache_meta`, as the Python package vcti-file-cache 1.0.0 keeps it, lies in each entry and follows the index
//!   within one interval and at close; entries that this package made are adopted at open.
//!
//! # Limits
//!
//! - [`Options::evict_above`] is a soft threshold: a new entry may lie above it until the eviction that it wakes is
//!   done. An entry larger than the whole threshold is refused, and the others stay; so they do for one that has grown larger
//!   in its place, or that another program made.
//! - A builder that reserves nothing, or writes more than it reserved, passes the limit while it runs, and is refused when it
//!   is done. What is written into a [`model`](DirCache::model) is bound by no limit. What other programs put into the root counts as soon as it is adopted, whatever
//!   the limit. The index, its journals, lock files and one `.cache_meta` an entry come on top.
//! - The size of an entry is what it occupies on the disk with its own directory, as `du` counts: holes are free and hard
//!   links inside one entry count once. Its `.cache_meta` is not counted. [`Measure::Apparent`] adds up lengths instead.
//! - What is written into a published entry is counted by [`DirCache::recount`] only. So is what the file system
//!   changes in the occupied size afterwards, as those do that allocate or compress late. What is written into a
//!   [`model`](DirCache::model) is measured when its lease is dropped, and by a recount where its writer was killed; others see
//!   it half done meanwhile.
//! - Counts and times of accesses survive a killed process, but are not flushed: the last ones may be lost in a power cut.
//! - Accesses that vcti-file-cache counts in the `.cache_meta` of an entry after its adoption are not added up: the
//!   index's count replaces them.
//! - A publication that a dead process left is finished where the names, kinds and lengths of its files are as they
//!   were built; otherwise it is discarded after a restart of the machine, and before one what lies there is somebody else's
//!   and stays. What is in the files is not looked at.
//! - What was ever written in place is not compared with anything: nobody knows what its files should be.
//! - Removing `.larder/leases` underneath ends what leases promise. On a disk that ignores case, keys are to differ in more
//!   than that.
//! - On a full disk entries can be removed and evicted, as 256 KiB are kept for the log of the index; builds fail with `Full`.
//! - Policies of other crates are told apart by what they show as `Debug`.
//! - A lease binds Larder, not other programs: vcti-file-cache on the same root evicts what it likes.
//! - The remote tier holds what was built until [`DirCache::remove_remote`] or a rule of the storage's own removes it;
//!   eviction is about one root. Whoever asks waits for a builder of the fleet that died for 30 seconds more. A builder that
//!   could not publish does not try again. Entries with pipes, sockets, or links that are absolute or have `..` after a
//!   name are not published there, nor those whose encoded keys have more than 255 bytes. Hard links come back as files of
//!   their own, files executable or not, and times and owners as of who fetches.
//! - Local disks only for the root, as the index is an SQLite database and leases are file locks. Linux and macOS.

mod accesses;
mod boot;
mod build;
mod cache;
mod core;
mod enter;
mod entry;
mod evict;
mod index;
mod journal;
mod lease;
mod meta;
mod observer;
mod options;
mod policy;
mod recount;
mod remote;
mod removal;
mod scan;
mod settings;
mod settle;
mod trash;
mod tree;
mod verify;
mod worker;

#[cfg(test)]
mod tests;

pub use cache::DirCache;
pub use entry::{EntryInfo, Snapshot, Status};
pub use index::FORMAT_VERSION;
pub use lease::Lease;
pub use meta::META_FORMAT_VERSION;
pub use observer::{LoggingObserver, Observer};
pub use options::{BuildOptions, Options};
pub use policy::{Gdsf, Lfu, Lru, Policy, SizedLru};
pub use recount::Recount;
pub use remote::REMOTE_FORMAT_VERSION;
pub use tree::Measure;
pub use verify::VerifyReport;
