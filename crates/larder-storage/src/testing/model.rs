use std::collections::BTreeMap;

use crate::{Bytes, Key, Object, PutIf, Result, Storage};

/// What may be in a storage after a fault: of each object what was last acknowledged, or what was attempted since.
///
/// Never anything else, and never a part of either.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// What may be there under each key that was ever named; `None` stands for no object.
    allowed: BTreeMap<Key, Vec<Option<Bytes>>>,
}

impl Model {
    /// The model of an empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `bytes`, and notes what that allows.
    ///
    /// # Errors
    ///
    /// Those of [`Storage::put`]: then the old object or the new one may be there.
    pub fn put(&mut self, storage: &dyn Storage, key: &Key, bytes: Bytes) -> Result<()> {
        self.attempt(key, Some(bytes.clone()));
        storage.put(key, bytes.clone(), PutIf::Always)?;
        self.acknowledge(key, Some(bytes));
        Ok(())
    }

    /// Uploads `bytes` piece by piece, and notes what that allows.
    ///
    /// # Errors
    ///
    /// Those of [`Storage::create`] and of its upload: then the old object or the new one may be there.
    pub fn upload(&mut self, storage: &dyn Storage, key: &Key, bytes: Bytes) -> Result<()> {
        self.attempt(key, Some(bytes.clone()));
        let mut upload = storage.create(key)?;
        for piece in bytes.chunks(4096) {
            let written = upload.write_all(piece);
            written.map_err(|error| crate::Error::io(error, "cannot write").at_key(key))?;
        }
        upload.commit(PutIf::Always)?;
        self.acknowledge(key, Some(bytes));
        Ok(())
    }

    /// Removes the object, and notes what that allows.
    ///
    /// # Errors
    ///
    /// Those of [`Storage::remove`]: then the old object or none may be there.
    pub fn remove(&mut self, storage: &dyn Storage, key: &Key) -> Result<()> {
        self.attempt(key, None);
        storage.remove(key)?;
        self.acknowledge(key, None);
        Ok(())
    }

    /// Takes over what `other`, of a writer of other keys, allows.
    pub fn extend(&mut self, other: Self) {
        self.allowed.extend(other.allowed);
    }

    /// Checks that only what is allowed is there, found both by name and by listing. What is found is from then on
    /// the one thing allowed.
    ///
    /// # Panics
    ///
    /// Where anything else is there; the message begins with `moment`.
    pub fn check(&mut self, storage: &dyn Storage, moment: &str) {
        let mut listed = BTreeMap::new();
        for entry in storage.list(None).expect("list") {
            let entry = entry.expect("entry");
            listed.insert(entry.key, entry.len);
        }
        for (key, allowed) in &mut self.allowed {
            let found = storage.get(key).expect("get").map(Object::into_bytes);
            let len = found.as_ref().map(|bytes| bytes.len() as u64);
            assert!(
                allowed.contains(&found),
                "{moment}: '{key}' holds {}, and none of the {} states allowed",
                len.map_or("nothing".to_owned(), |len| format!("{len} bytes")),
                allowed.len()
            );
            assert_eq!(listed.remove(key), len, "{moment}: how '{key}' is listed");
            *allowed = vec![found];
        }
        assert!(listed.is_empty(), "{moment}: nobody put {listed:?}");
    }

    /// Notes a change that was begun and may have been done or not; `None` stands for no object.
    pub fn attempt(&mut self, key: &Key, state: Option<Bytes>) {
        self.allowed.entry(key.clone()).or_insert_with(|| vec![None]).push(state);
    }

    fn acknowledge(&mut self, key: &Key, state: Option<Bytes>) {
        self.allowed.insert(key.clone(), vec![state]);
    }
}
