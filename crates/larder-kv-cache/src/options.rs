use larder_storage::Durability;

/// How a [`KvCache`](crate::KvCache) behaves. The default saves each write at once, at [`Durability::Process`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a cache is opened with them"]
pub struct Options {
    pub(crate) durability: Durability,
    pub(crate) autosave: bool,
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
        self.autosave = autosave;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::default(), autosave: true }
    }
}
