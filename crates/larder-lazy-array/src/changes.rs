//! How a reader that stays open knows, without a system call, that nobody has replaced or removed its file.

use std::{
    fs::OpenOptions,
    path::PathBuf,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use larder_storage::{RESERVED_SEGMENT, Storage, counter::Counter, lock::FileLock};

use crate::sync::OnceLock;

/// What other programs do to a file, who raise no number, is noticed this soon.
const BLINK: Duration = Duration::from_millis(1);

/// The number of changes of all arrays below a local root, in memory that processes share: raised after each one, before it is
/// acknowledged.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The file of the number, where the root is local.
    path: Option<PathBuf>,
    counter: OnceLock<Option<Counter>>,
}

impl Changes {
    pub(crate) fn of(storage: &dyn Storage) -> Self {
        let path = |root: &std::path::Path| root.join(RESERVED_SEGMENT).join("array-changes");
        Self { path: storage.local_root().map(path), counter: OnceLock::new() }
    }

    pub(crate) fn raise(&self) {
        if let Some(counter) = self.counter() {
            counter.raise();
        }
    }

    fn number(&self) -> Option<u64> {
        self.counter().map(Counter::get)
    }

    /// None where nobody can write it, and so nobody changes an array, or it is not local.
    fn counter(&self) -> Option<&Counter> {
        self.counter.get_or_init(|| self.open()).as_ref()
    }

    fn open(&self) -> Option<Counter> {
        let path = self.path.as_ref()?;
        // A new file is filled while nobody else maps it.
        let _alone = FileLock::exclusive(&path.with_extension("lock")).ok()?;
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        Counter::map(&options.ok()?).ok()
    }
}

/// When something was last known to be as it was.
#[derive(Debug, Default)]
pub(crate) struct LastLook {
    number: AtomicU64,
    /// In nanoseconds since the start.
    at: AtomicU64,
}

impl LastLook {
    /// Whether it is as it was, for which `look` looks where that is not known.
    pub(crate) fn is_current(&self, changes: &Changes, look: impl FnOnce() -> bool) -> bool {
        // Read before the look: what changes after it is seen the next time.
        let Some(number) = changes.number() else { return look() };
        let now = now();
        let recent = now.saturating_sub(self.at.load(Ordering::Relaxed)) < BLINK.as_nanos() as u64;
        if recent && self.number.load(Ordering::Relaxed) == number {
            return true;
        }
        let current = look();
        if current {
            self.at.store(0, Ordering::Relaxed);
            self.number.store(number, Ordering::Relaxed);
            self.at.store(now, Ordering::Relaxed);
        }
        current
    }
}

fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
