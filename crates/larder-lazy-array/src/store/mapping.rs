//! What a map of keys to arrays can do.

use ndarray::ArrayD;

use super::*;

/// How arrays leave memory, for [`ArrayStore::offload`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Edits go to the scratch file and end with the process, as with GSEGUtils' `offload()`.
    Scratch,
    /// Edits are published first, as with GSEGUtils' `offload(pickle_container=True)`.
    Publish,
}

impl ArrayStore {
    /// The array of that key, built and published first where there is none. Of all who want it at once, in this process and
    /// others, one builds it.
    ///
    /// # Errors
    ///
    /// What `build` fails with; `Locked` where this thread is building an array under the key already; otherwise as
    /// [`get`](Self::get) and [`insert`](Self::insert).
    pub fn get_or_build<A: Element, D: Dimension>(
        &self,
        key: &str,
        build: impl FnOnce() -> Result<Array<A, D>>,
    ) -> Result<LazyArray<A>> {
        if let Some(array) = self.get(key)? {
            return Ok(array);
        }
        // A lease of its own, so that other arrays may be built and inserted inside.
        let building = self.files().build(&Key::new(key)?)?;
        let array = match self.get(key)? {
            Some(array) => array,
            None => self.insert(key, build()?)?,
        };
        drop(building);
        Ok(array)
    }

    /// Takes an array out of the store: its elements as they are now, with edits, while its files are removed. `None`
    /// where the key has none.
    ///
    /// # Errors
    ///
    /// `Conflict` where another process replaced the array meanwhile; otherwise as [`get`](Self::get),
    /// [`LazyArray::read`] and [`remove`](Self::remove).
    pub fn pop<A: Element>(&self, key: &str) -> Result<Option<ArrayD<A>>> {
        let Some(array) = self.get::<A>(key)? else { return Ok(None) };
        // Held until it is removed, so that no edit of this process comes in between.
        let elements = array.read()?;
        let _lease = self.shared.files.lease(array.key())?;
        array.0.refuse_replaced()?;
        self.drop_files(array.key())?;
        Ok(Some(elements.to_owned()))
    }

    /// Removes an array, and what a killed process left of one; whether there was one. Its handles keep their guards
    /// and edits, and what else is in memory until that is offloaded, but publish nothing any more. Waits for whoever
    /// publishes it.
    ///
    /// # Errors
    ///
    /// `Invalid` where the key breaks a rule; `Io` or `Backend` where the storage fails: what can be removed was, and what is
    /// left is named. In this store the array is gone all the same.
    pub fn remove(&self, key: &str) -> Result<bool> {
        let key = Key::new(key)?;
        let _lease = self.shared.files.lease(&key)?;
        self.drop_files(&key)
    }

    /// As [`remove`](Self::remove), but waits for nobody.
    ///
    /// # Errors
    ///
    /// `Locked` where another process or thread is publishing it; otherwise as [`remove`](Self::remove).
    pub fn purge(&self, key: &str) -> Result<bool> {
        let key = Key::new(key)?;
        let _lease = self.shared.files.try_lease(&key)?;
        self.drop_files(&key)
    }

    fn drop_files(&self, key: &Key) -> Result<bool> {
        let removed = self.shared.files.remove(key);
        self.known.forget(key);
        removed
    }

    /// Removes every array, and what killed processes left of some; how many there were. All are tried.
    ///
    /// # Errors
    ///
    /// The first one of [`remove`](Self::remove).
    pub fn clear(&self) -> Result<u64> {
        let found = self.files().list()?;
        let tried: Vec<_> = found.keys().map(|key| self.remove(key.as_str())).collect();
        tried.into_iter().try_fold(0, |count, removed| Ok(count + u64::from(removed?)))
    }

    /// How many arrays there are.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys).
    pub fn len(&self) -> Result<usize> {
        Ok(self.keys()?.len())
    }

    /// Whether there is no array.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// The keys in order, each with its array where that is in memory and its elements are of this type. Nothing is
    /// loaded.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys).
    pub fn items<A: Element>(&self) -> Result<Vec<(Key, Option<LazyArray<A>>)>> {
        let resident = |key: &Key| {
            let array = self.known.get(key).filter(|array| array.is_resident())?;
            array.as_any().downcast().ok().map(LazyArray)
        };
        Ok(self.keys()?.into_iter().map(|key| (key.clone(), resident(&key))).collect())
    }

    /// The arrays of [`items`](Self::items) without their keys.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys).
    pub fn values<A: Element>(&self) -> Result<Vec<Option<LazyArray<A>>>> {
        Ok(self.items()?.into_iter().map(|(_, array)| array).collect())
    }

    /// Takes the arrays of these keys out of memory that have no live guard; how many are out now. All are tried, and one
    /// that was not got from this store is out.
    ///
    /// # Errors
    ///
    /// `Invalid` where a key breaks a rule, and then nothing is done; otherwise the first one of [`LazyArray::offload`],
    /// or of [`LazyArray::flush`] where edits are published.
    pub fn offload<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        how: Offload,
    ) -> Result<usize> {
        let keys: Vec<_> = keys.into_iter().map(Key::new).collect::<Result<_>>()?;
        let out = |key: &Key| self.known.get(key).map_or(Ok(true), |array| offload(array, how));
        count(keys.iter().map(out).collect())
    }

    /// As [`offload`](Self::offload), for every array that was got from this store.
    ///
    /// # Errors
    ///
    /// As [`offload`](Self::offload).
    pub fn offload_all(&self, how: Offload) -> Result<usize> {
        count(self.known.all().into_iter().map(|array| offload(array, how)).collect())
    }
}

fn offload(array: Arc<dyn Tracked>, how: Offload) -> Result<bool> {
    if how == Offload::Publish {
        Arc::clone(&array).flush()?;
    }
    array.offload()
}

fn count(tried: Vec<Result<bool>>) -> Result<usize> {
    tried.into_iter().try_fold(0, |count, out| Ok(count + usize::from(out?)))
}
