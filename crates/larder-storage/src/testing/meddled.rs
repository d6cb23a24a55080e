use std::{
    fmt,
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::{
    Bytes, Entries, Key, Keys, MemoryStorage, Object, PutIf, ReadAt, Result, Storage, Upload,
};

/// Objects in memory where somebody else acts once, just before a chosen call, as another machine may.
#[derive(Default)]
pub struct MeddledStorage {
    inner: MemoryStorage,
    meddling: Mutex<Option<Meddling>>,
}

/// The call before which somebody acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The next [`Storage::put`].
    Put,
    /// The [`Storage::get`] of this key that comes after so many others of it.
    Get(Key, usize),
}

struct Meddling {
    moment: Moment,
    act: Box<dyn FnOnce() + Send>,
}

impl MeddledStorage {
    /// A view of `inner` in which nobody acts yet.
    pub fn new(inner: MemoryStorage) -> Self {
        Self { inner, meddling: Mutex::default() }
    }

    /// Has `act` done at the moment, through another view of the objects.
    pub fn meddle(&self, moment: Moment, act: impl FnOnce() + Send + 'static) {
        *self.meddling.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Meddling { moment, act: Box::new(act) });
    }

    fn act_if(&self, has_come: impl FnOnce(&mut Moment) -> bool) {
        let mut meddling = self.meddling.lock().unwrap_or_else(PoisonError::into_inner);
        let now = meddling.take_if(|meddling| has_come(&mut meddling.moment));
        drop(meddling);
        if let Some(Meddling { act, .. }) = now {
            act();
        }
    }
}

impl fmt::Debug for MeddledStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeddledStorage").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Storage for MeddledStorage {
    fn get(&self, key: &Key) -> Result<Option<Object>> {
        self.act_if(|moment| match moment {
            Moment::Get(at, 0) => at == key,
            Moment::Get(at, before) if at == key => {
                *before -= 1;
                false
            }
            Moment::Get(..) | Moment::Put => false,
        });
        self.inner.get(key)
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>> {
        self.inner.get_range(key, offset, len)
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>> {
        self.inner.open(key)
    }

    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()> {
        self.act_if(|moment| *moment == Moment::Put);
        self.inner.put(key, bytes, when)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.inner.create(key)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.inner.remove(key)
    }

    fn keys(&self, prefix: Option<&Key>) -> Result<Keys<'_>> {
        self.inner.keys(prefix)
    }

    fn list(&self, prefix: Option<&Key>) -> Result<Entries<'_>> {
        self.inner.list(prefix)
    }

    fn local_root(&self) -> Option<&Path> {
        self.inner.local_root()
    }
}
