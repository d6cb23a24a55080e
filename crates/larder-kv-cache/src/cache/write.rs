use std::time::Duration;

use larder_storage::Result;
use serde::{Serialize, de::DeserializeOwned};

use super::KvCache;
use crate::{
    Attributes, Lookup,
    attributes::after,
    engine::{Change, Value, When, Write},
    pending::Pending,
};

impl KvCache {
    /// Stores `value` under `key`, instead of the one that is there.
    ///
    /// # Errors
    ///
    /// `Invalid`, and then nothing was changed, where the key is too long, or the value holds NaN or an infinity, has
    /// a map whose keys are no text, nests deeper than 127 levels, or is longer than
    /// [`MAX_VALUE_LEN`](Self::MAX_VALUE_LEN); `Full` where it is larger than the capacity; else those of the database.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        self.set_with(key, value, &Attributes::default())
    }

    /// As [`set`](Self::set), with a time to live or tags. What the entry had of them before is forgotten.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn set_with<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        attributes: &Attributes,
    ) -> Result<()> {
        let value = self.value(key, value, attributes)?;
        match self.pending() {
            Some(mut pending) => {
                self.engine.admit(key, &value)?;
                pending.set(key, value, self.now());
                self.wake_saver();
            }
            None => drop(self.write(key, Change::Set(value), When::Always)?),
        }
        Ok(())
    }

    /// Stores several values: all of them or, where it fails, none.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn set_many<K: AsRef<str>, T: Serialize>(
        &self,
        items: impl IntoIterator<Item = (K, T)>,
    ) -> Result<()> {
        let encode = |(key, value): (K, T)| {
            let value = self.value(key.as_ref(), &value, &Attributes::default())?;
            Ok((key, value))
        };
        let (keys, values): (Vec<K>, Vec<Value>) =
            items.into_iter().map(encode).collect::<Result<_>>()?;
        let entries = keys.iter().map(K::as_ref).zip(values);
        if let Some(mut pending) = self.pending() {
            let entries: Vec<_> = entries.collect();
            entries.iter().try_for_each(|(key, value)| self.engine.admit(key, value))?;
            let now = self.now();
            entries.into_iter().for_each(|(key, value)| pending.set(key, value, now));
            self.wake_saver();
            return Ok(());
        }
        let set = |(key, value)| Write { key, change: Change::Set(value), when: When::Always };
        let writes: Vec<_> = entries.map(set).collect();
        self.engine.write(&writes, self.now()).map(drop)
    }

    /// Stores `value` where `key` has none; whether it did. What waits for [`save`](Self::save) is saved first.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn insert_if_absent<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<bool> {
        let value = self.value(key, value, &Attributes::default())?;
        self.save()?;
        self.write(key, Change::Set(value), When::Absent)
    }

    /// Stores what `change` makes of the value that is there, and returns it; the entry keeps its tags and lives no longer
    /// than before. `change` is called again where another
    /// writer came in between, so that no update is lost. What waits for [`save`](Self::save) is saved first.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`set`](Self::set).
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        mut change: impl FnMut(Lookup<T>) -> T,
    ) -> Result<T> {
        loop {
            // In each round, because others may leave unsaved writes meanwhile, of which the engine knows nothing.
            self.save()?;
            let json = self.get_json(key)?;
            let expected = json.clone().hit();
            let changed = change(json.try_map(|json| self.decode(key, &json))?);
            let value = self.value(key, &changed, &Attributes::default())?;
            let change = match expected {
                Some(_) => Change::Revalue(value.json),
                None => Change::Set(value),
            };
            if self.write(key, change, When::Unchanged(expected))? {
                return Ok(changed);
            }
        }
    }

    /// Lets the entry live for another `time`, or for ever; whether there is one. What waits for [`save`](Self::save)
    /// is saved first.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn touch(&self, key: &str, time: Option<Duration>) -> Result<bool> {
        self.save()?;
        let at = time.map(|time| after(self.now(), time));
        self.write(key, Change::Expire(at), When::Always)
    }

    /// Removes an entry, and tells whether there was one. Without autosave it waits for [`save`](Self::save), as
    /// [`set`](Self::set) does.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn invalidate(&self, key: &str) -> Result<bool> {
        let Some(mut pending) = self.pending() else {
            return self.write(key, Change::Remove, When::Always);
        };
        let now = self.now();
        let existed = match pending.find(key, now) {
            Some(found) => found.is_hit(),
            None => self.engine.contains(&[key], now)?[0],
        };
        pending.remove(key);
        self.wake_saver();
        Ok(existed)
    }

    /// Removes every entry, saved or not, at once: it takes the same short time whatever their number, and writes even
    /// without autosave. Later writes give the space back, a few entries for each one written.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn clear(&self) -> Result<()> {
        tracing::debug!(namespace = self.namespace, "clear");
        let pending = self.pending();
        self.engine.clear(None)?;
        if let Some(mut pending) = pending {
            *pending = Pending::default();
        }
        Ok(())
    }

    /// Removes every entry that has this tag, in the same short time whatever their number. What waits for
    /// [`save`](Self::save) is saved first.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn clear_tag(&self, tag: &str) -> Result<()> {
        tracing::debug!(namespace = self.namespace, tag, "clear");
        self.save()?;
        self.engine.clear(Some(tag))
    }

    /// Saves the writes that are held in memory, in one transaction: all of them or, where it fails, none, and then
    /// they are still held. With autosave there are none.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn save(&self) -> Result<()> {
        match &self.pending {
            Some(pending) => super::save(&*self.engine, pending, self.now()),
            None => Ok(()),
        }
    }

    /// Reads the document anew that others may have written, on a storage that is not local. Otherwise every look is at
    /// what is there.
    ///
    /// # Errors
    ///
    /// As [`open_document`](Self::open_document).
    pub fn reload(&self) -> Result<()> {
        self.engine.reload()
    }

    fn write(&self, key: &str, change: Change, when: When) -> Result<bool> {
        let done = self.engine.write(&[Write { key, change, when }], self.now())?;
        Ok(done == [true])
    }
}
