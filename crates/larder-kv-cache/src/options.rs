use std::time::Duration;

use larder_storage::Durability;

use crate::{Clock, Policy, sqlite::Cap};

/// How a [`KvCache`](crate::KvCache) behaves. The default saves each write at once, at [`Durability::Process`]; nothing
/// expires, and nothing is ever evicted.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a cache is opened with them"]
pub struct Options {
    pub(crate) durability: Durability,
    pub(crate) autosave: Autosave,
    pub(crate) clock: Clock,
    pub(crate) time_to_live: Option<Duration>,
    /// The outer one is none where the cap that is recorded stays.
    pub(crate) capacity: Option<Option<Cap>>,
    pub(crate) memory: u64,
    pub(crate) compress_from: usize,
}

/// When writes are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Autosave {
    /// Before they return.
    Always,
    /// By this much later.
    Within(Duration),
    /// When asked to.
    Never,
}

impl Options {
    /// What an acknowledged write survives.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Whether each write is saved before it returns. If not, writes are held in memory, where only this
    /// [`KvCache`](crate::KvCache) sees them, until [`save`](crate::KvCache::save).
    pub fn autosave(mut self, autosave: bool) -> Self {
        self.autosave = if autosave { Autosave::Always } else { Autosave::Never };
        self
    }

    /// Saves writes together, at most this long after the first of them; until then they are held in memory, as
    /// without autosave. What fails is tried again after the same time, and by [`save`](crate::KvCache::save), which tells.
    pub fn autosave_within(mut self, bound: Duration) -> Self {
        self.autosave = Autosave::Within(bound);
        self
    }

    /// Where the time comes from by which entries expire; of the system, by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long entries live that are set without a time of their own; for ever, by default.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = Some(time);
        self
    }

    /// Bounds the bytes of all keys and stored values together: a write that passes it evicts others, by the policy, and
    /// never the entry that it set last.
    ///
    /// The bound is recorded in the namespace and holds for everybody who writes to it, until somebody opens it with
    /// another one. Uses are counted only by those who open it afterwards, in memory (some 50 to 100 bytes for each entry
    /// that is read, of a million at most): one value of the cache knows all of its own uses when it evicts. Others hear of
    /// them a tenth of a second to a minute later, the later the more entries are read, from a read that writes many down.
    pub fn capacity(mut self, bytes: u64, policy: Policy) -> Self {
        // As large as the database can record.
        let bytes = bytes.min(i64::MAX.cast_unsigned());
        self.capacity = Some(Some(Cap { bytes, policy }));
        self
    }

    /// Takes the bound back that [`capacity`](Self::capacity) recorded.
    pub fn unlimited(mut self) -> Self {
        self.capacity = Some(None);
        self
    }

    /// How many bytes of memory hold values that were read or written lately; 16 MiB by default, none at 0.
    ///
    /// What another process writes through Larder is seen at once all the same. Only what another program does to the
    /// file behind Larder's back may not be, before another process writes or the cache is opened again.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// From how many bytes of JSON on a value is compressed (by LZ4), where that makes it smaller; 4096 by default.
    pub fn compress_from(mut self, bytes: usize) -> Self {
        self.compress_from = bytes;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            autosave: Autosave::Always,
            clock: Clock::default(),
            time_to_live: None,
            capacity: None,
            memory: 16 << 20,
            compress_from: 4096,
        }
    }
}
