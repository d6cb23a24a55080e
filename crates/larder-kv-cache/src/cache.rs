use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use larder_sqlite::{Database, Failure};
use larder_storage::{Error, ErrorKind, Result, default_root, json};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Lookup, Options, Status, VerifyReport, namespace,
    pending::Pending,
    table, verify,
    writer::{self, Writer},
};

/// One namespace of text keys and values of any serde type, in a database that threads and processes share.
///
/// Entries have an order: that in which their keys were first set. A key that is set again keeps its place; one that
/// was invalidated or cleared in between goes to the end.
pub struct KvCache {
    namespace: String,
    database: Database,
    /// There only where writes wait for [`save`](Self::save).
    pending: Option<Mutex<Pending>>,
}

impl KvCache {
    /// The most bytes that a key may have.
    pub const MAX_KEY_LEN: usize = 4096;

    /// The most bytes that a value may have as JSON: SQLite's limit of 10⁹ for a row, with room for the rest of it.
    pub const MAX_VALUE_LEN: usize = 999_990_000;

    /// Opens the cache `namespace` of the directory `dir`, and makes both where they are missing.
    ///
    /// # Errors
    ///
    /// `Invalid` where the namespace needs more than 200 bytes as a file name; `Corrupt` where the database is damaged;
    /// `Format` where it belongs to another program or a newer version; `Io` where it cannot be opened.
    pub fn open(dir: impl AsRef<Path>, namespace: &str, options: Options) -> Result<Self> {
        let path = namespace::path(dir.as_ref(), namespace)?;
        let database = Database::open(path, &table::SCHEMA, options.durability)?;
        let pending = (!options.autosave).then(Mutex::default);
        Ok(Self { namespace: namespace.to_owned(), database, pending })
    }

    /// Opens the cache `namespace` of the directory `kv` in [`larder_storage::default_root`].
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); `Invalid` where there is no default directory.
    pub fn open_default(namespace: &str, options: Options) -> Result<Self> {
        Self::open(default_root()?.join("kv"), namespace, options)
    }

    /// The namespaces of the directory `dir`, sorted. There are none where it is missing.
    ///
    /// # Errors
    ///
    /// `Io` where it cannot be read.
    pub fn namespaces(dir: impl AsRef<Path>) -> Result<Vec<String>> {
        namespace::list(dir.as_ref())
    }

    /// Moves a damaged database aside, and says where to; the next [`open`](Self::open) begins an empty one. `None`
    /// where the database is sound or missing: single damaged values are set again or invalidated instead.
    ///
    /// # Errors
    ///
    /// `Locked` where anybody has it open; `Format` where it is not ours; `Invalid` as [`open`](Self::open);
    /// `Io` where it cannot be read or moved.
    pub fn repair(dir: impl AsRef<Path>, namespace: &str) -> Result<Option<PathBuf>> {
        larder_sqlite::repair(&namespace::path(dir.as_ref(), namespace)?, &table::SCHEMA)
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The absolute path of the database's file.
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    /// Looks `key` up.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the stored value is damaged; `Format` where it is no `T`; else those of the database.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Lookup<T>> {
        let stored = match self.unsaved(key) {
            Some(change) => change,
            None => self.database.read(|db| self.find(db, key))?,
        };
        self.decode(key, stored)
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
        let pending = self.pending();
        let found: Vec<_> = self.database.read(|db| {
            let view = db.unchecked_transaction()?;
            let look = |key: &&str| match pending.as_ref().and_then(|pending| pending.get(key)) {
                Some(change) => Ok(change.value().map(<[u8]>::to_vec)),
                None => self.find(&view, key),
            };
            keys.iter().map(look).collect()
        })?;
        drop(pending); // decoding runs the user's code
        keys.into_iter().zip(found).map(|(key, stored)| self.decode(key, stored)).collect()
    }

    /// Whether `key` has a value, which is not read.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn contains(&self, key: &str) -> Result<bool> {
        match self.unsaved(key) {
            Some(change) => Ok(change.is_some()),
            None => self.database.read(|db| table::contains(db, key)),
        }
    }

    /// Splits `keys` into those that have a value and those that have none, without reading any value. Order and
    /// repetitions are kept.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn hits_and_misses(&self, keys: &[impl AsRef<str>]) -> Result<(Vec<String>, Vec<String>)> {
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let pending = self.pending();
        self.database.read(|db| {
            let view = db.unchecked_transaction()?;
            let (mut hits, mut misses) = (Vec::new(), Vec::new());
            for key in keys {
                let is_hit = match pending.as_ref().and_then(|pending| pending.get(key)) {
                    Some(change) => change.value().is_some(),
                    None => table::contains(&view, key)?,
                };
                if is_hit { &mut hits } else { &mut misses }.push(key.to_owned());
            }
            Ok((hits, misses))
        })
    }

    /// The keys in their order.
    ///
    /// # Errors
    ///
    /// `Corrupt` where a stored key is damaged; else those of the database.
    pub fn keys(&self) -> Result<Vec<String>> {
        let pending = self.pending();
        let saved = self.database.read(table::keys)?;
        Ok(match pending {
            Some(pending) => pending.overlay(saved),
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
        let (live, _) = self.database.read(table::count)?;
        Ok(usize::try_from(live).unwrap_or(usize::MAX))
    }

    /// Whether there is no entry.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Stores `value` under `key`, instead of the one that is there.
    ///
    /// # Errors
    ///
    /// `Invalid`, and then nothing was changed, where the key is too long, or the value holds NaN or an infinity, has
    /// a map whose keys are no text, nests deeper than 127 levels, or is longer than
    /// [`MAX_VALUE_LEN`](Self::MAX_VALUE_LEN); else those of the database.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        let json = self.encode(key, value)?;
        match self.pending() {
            Some(mut pending) => pending.set(key, json),
            None => self.write(|writer| writer.set(key, &json))?,
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
            let key = key.as_ref();
            Ok((key.to_owned(), self.encode(key, &value)?))
        };
        let entries = items.into_iter().map(encode).collect::<Result<Vec<(String, Vec<u8>)>>>()?;
        match self.pending() {
            Some(mut pending) => {
                entries.into_iter().for_each(|(key, json)| pending.set(&key, json))
            }
            None => self
                .write(|writer| entries.iter().try_for_each(|(key, json)| writer.set(key, json)))?,
        }
        Ok(())
    }

    /// Removes an entry, and tells whether there was one. Without autosave it waits for [`save`](Self::save), as
    /// [`set`](Self::set) does.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn invalidate(&self, key: &str) -> Result<bool> {
        let Some(mut pending) = self.pending() else {
            return self.write(|writer| writer.remove(key));
        };
        let existed = match pending.get(key) {
            Some(change) => change.value().is_some(),
            None => self.database.read(|db| table::contains(db, key))?,
        };
        pending.remove(key);
        Ok(existed)
    }

    /// Removes every entry, saved or not, at once: it takes the same short time whatever their number, and writes even
    /// without autosave. Later writes give the space back, a few entries for each one written.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn clear(&self) -> Result<()> {
        let pending = self.pending();
        self.database.write(writer::clear)?;
        if let Some(mut pending) = pending {
            *pending = Pending::default();
        }
        Ok(())
    }

    /// Saves the writes that are held in memory, in one transaction: all of them or, where it fails, none, and then
    /// they are still held. With autosave there are none.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn save(&self) -> Result<()> {
        let Some(mut pending) = self.pending().filter(|pending| !pending.is_empty()) else {
            return Ok(());
        };
        self.write(|writer| {
            pending.changes().try_for_each(|(key, change)| writer.apply(key, change))
        })?;
        *pending = Pending::default();
        Ok(())
    }

    /// The figures of this cache.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn status(&self) -> Result<Status> {
        let unsaved = self.pending().map_or(0, |pending| pending.len() as u64);
        self.database.read(|db| {
            let (entries, cleared) = table::count(db)?;
            let (bytes, free_bytes) = table::size(db)?;
            let (namespace, path) = (self.namespace.clone(), self.path().to_owned());
            Ok(Status { namespace, path, entries, unsaved, cleared, bytes, free_bytes })
        })
    }

    /// Reads everything that is saved, and checks the database's structure and each value's checksum.
    ///
    /// # Errors
    ///
    /// Those of the database, but not `Corrupt`: damage is what the report is for.
    pub fn verify(&self) -> Result<VerifyReport> {
        verify::verify(&self.database, |key| self.place(key))
    }

    fn pending(&self) -> Option<MutexGuard<'_, Pending>> {
        self.pending.as_ref().map(|pending| pending.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The value of `key` where a write of it is not saved yet; the inner `None` is a removal.
    fn unsaved(&self, key: &str) -> Option<Option<Vec<u8>>> {
        self.pending()?.get(key).map(|change| change.value().map(<[u8]>::to_vec))
    }

    fn find(&self, db: &rusqlite::Connection, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        let open = |stored: table::Stored| stored.into_json(key, &self.place(key));
        let json = table::find(db, key)?.map(open).transpose();
        Ok(json.map_err(|error| error.at_path(self.path()))?)
    }

    fn write<T>(&self, work: impl FnOnce(&mut Writer<'_>) -> Result<T, Failure>) -> Result<T> {
        self.database.write(|tx| work(&mut Writer::begin(tx)?))
    }

    fn encode<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result<Vec<u8>> {
        if key.len() > Self::MAX_KEY_LEN {
            let (place, limit) = (self.place(key), Self::MAX_KEY_LEN);
            return Err(
                self.refuse(format!("{place} is longer than {limit} bytes: hash the key first"))
            );
        }
        let json = json::encode(value).map_err(|error| {
            self.refuse(format!("the value for {} has no form in JSON", self.place(key)))
                .with_source(error)
        })?;
        self.check_len(key, json.len())?;
        Ok(json)
    }

    /// Refuses what SQLite would, before it is held for a save that could then only fail.
    fn check_len(&self, key: &str, len: usize) -> Result<()> {
        if len <= Self::MAX_VALUE_LEN {
            return Ok(());
        }
        let (place, limit) = (self.place(key), Self::MAX_VALUE_LEN);
        Err(self.refuse(format!(
            "the value for {place} has {len} bytes as JSON and may have {limit}: split it"
        )))
    }

    fn refuse(&self, message: String) -> Error {
        Error::new(ErrorKind::Invalid, message).at_path(self.path())
    }

    fn decode<T: DeserializeOwned>(&self, key: &str, stored: Option<Vec<u8>>) -> Result<Lookup<T>> {
        let Some(json) = stored else {
            return Ok(Lookup::Miss);
        };
        serde_json::from_slice(&json).map(Lookup::Hit).map_err(|error| {
            let message = format!("the value of {} is not of the type asked for", self.place(key));
            Error::new(ErrorKind::Format, message).at_path(self.path()).with_source(error)
        })
    }

    /// Names an entry in a message, on one line.
    fn place(&self, key: &str) -> String {
        let shown: String = key.chars().take(80).collect();
        format!("key {shown:?} in namespace {:?}", self.namespace)
    }
}

/// Saves what is held in memory. Nobody hears of a failure here, so whoever needs to know calls
/// [`save`](KvCache::save) before.
impl Drop for KvCache {
    fn drop(&mut self) {
        let _unheard = self.save();
    }
}

impl fmt::Debug for KvCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvCache")
            .field("namespace", &self.namespace)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
