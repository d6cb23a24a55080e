use larder_storage::{Bytes, Result};
use serde::de::DeserializeOwned;

use super::KvCache;
use crate::{Lookup, engine::Found};

impl KvCache {
    /// Looks `key` up.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the stored value is damaged; `Format` where it is no `T`; else those of the database.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Lookup<T>> {
        self.get_json(key)?.try_map(|json| self.decode(key, &json))
    }

    /// Looks `key` up, and leaves the value as the JSON text that is stored.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the stored value is damaged; else those of the database.
    pub fn get_json(&self, key: &str) -> Result<Lookup<Bytes>> {
        let now = self.now();
        let unsaved = self.pending().and_then(|pending| pending.find(key, now));
        let found = match unsaved {
            Some(found) => found,
            None => self.engine.find(key, now)?,
        };
        self.counters.looked_up(&found);
        tracing::trace!(namespace = self.namespace, key, hit = found.is_hit(), "looked up");
        found.try_map(|found| Ok(found.json))
    }

    /// Looks several keys up; the results are in their order.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), for the first key that has one.
    pub fn get_many<T: DeserializeOwned>(
        &self,
        keys: &[impl AsRef<str>],
    ) -> Result<Vec<Lookup<T>>> {
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let found = self.find_many(&keys, self.now())?;
        let decode = |(key, found): (&str, Lookup<Found>)| {
            found.try_map(|found| self.decode(key, &found.json))
        };
        keys.into_iter().zip(found).map(decode).collect()
    }

    pub(super) fn find_many(&self, keys: &[&str], now: i64) -> Result<Vec<Lookup<Found>>> {
        let pending = self.pending();
        let mut found = self.engine.find_many(keys, now)?;
        if let Some(pending) = pending {
            for (key, found) in keys.iter().zip(&mut found) {
                if let Some(unsaved) = pending.find(key, now) {
                    *found = unsaved;
                }
            }
        }
        found.iter().for_each(|found| self.counters.looked_up(found));
        Ok(found)
    }

    /// Whether `key` has a value, which is not read.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn contains(&self, key: &str) -> Result<bool> {
        Ok(self.present(&[key])?[0])
    }

    /// Splits `keys` into those that have a value and those that have none, without reading any value. Order and
    /// repetitions are kept.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn hits_and_misses(&self, keys: &[impl AsRef<str>]) -> Result<(Vec<String>, Vec<String>)> {
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let (mut hits, mut misses) = (Vec::new(), Vec::new());
        for (key, is_there) in keys.iter().zip(self.present(&keys)?) {
            if is_there { &mut hits } else { &mut misses }.push((*key).to_owned());
        }
        Ok((hits, misses))
    }

    fn present(&self, keys: &[&str]) -> Result<Vec<bool>> {
        let now = self.now();
        let pending = self.pending();
        let mut present = self.engine.contains(keys, now)?;
        if let Some(pending) = pending {
            for (key, is_there) in keys.iter().zip(&mut present) {
                *is_there = pending.find(key, now).map_or(*is_there, |found| found.is_hit());
            }
        }
        Ok(present)
    }

    /// The keys in their order.
    ///
    /// # Errors
    ///
    /// `Corrupt` where a stored key is damaged; else those of the database.
    pub fn keys(&self) -> Result<Vec<String>> {
        self.keys_with_prefix("")
    }

    /// The keys that begin with `prefix`, in their order.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys).
    pub fn keys_with_prefix(&self, prefix: &str) -> Result<Vec<String>> {
        let now = self.now();
        let pending = self.pending();
        let saved = self.engine.keys(prefix, now)?;
        Ok(match pending {
            Some(pending) => pending.overlay(saved, prefix, now),
            None => saved,
        })
    }

    /// The number of entries. It takes time in proportion to it.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys).
    pub fn len(&self) -> Result<usize> {
        if self.pending().is_some_and(|pending| !pending.is_empty()) {
            return Ok(self.keys()?.len());
        }
        Ok(usize::try_from(self.engine.len(self.now())?).unwrap_or(usize::MAX))
    }

    /// Whether there is no entry.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}
