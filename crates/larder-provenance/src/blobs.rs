use std::sync::Arc;

use bytes::Bytes;
use larder_storage::{
    Digest, Durability, Entry, Error, ErrorKind, Key, PutIf, Result, Storage, StorageExt,
};

use crate::backend::Sharing;

/// Payloads as objects that are named by the digest of their content: `blobs/<2 digits>/<64 digits>`.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    storage: Arc<dyn Storage>,
    durability: Durability,
    /// Whether others, who do not know that a payload is used here too, may remove an old one.
    sharing: Arc<Sharing>,
}

/// What is found where a payload should be.
pub(crate) enum Found {
    Intact(Bytes),
    /// Other bytes.
    Damaged(Bytes),
    Missing,
}

impl Blobs {
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        durability: Durability,
        sharing: Arc<Sharing>,
    ) -> Self {
        Self { storage, durability, sharing }
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(crate) fn key(payload: &Digest) -> Result<Key> {
        let name = payload.to_string();
        Key::new(format!("blobs/{}/{name}", &name[..2]))
    }

    pub(crate) fn find(&self, payload: &Digest) -> Result<Found> {
        let Some(object) = self.storage.get(&Self::key(payload)?)? else {
            return Ok(Found::Missing);
        };
        let bytes = object.into_bytes();
        Ok(if Digest::of(&bytes) == *payload {
            Found::Intact(bytes)
        } else {
            Found::Damaged(bytes)
        })
    }

    /// The payload, if it is there and as it was written.
    pub(crate) fn load(&self, payload: &Digest) -> Result<Option<Bytes>> {
        Ok(match self.find(payload)? {
            Found::Intact(bytes) => Some(bytes),
            Found::Damaged(_) | Found::Missing => None,
        })
    }

    /// Writes the payload unless it is there already, intact, young, and as durable as it has to be: what another writer
    /// just made visible may not have reached the disk.
    pub(crate) fn store(&self, payload: &Digest, bytes: &Bytes) -> Result<()> {
        if !self.durability.syncs() && !self.sharing.is_shared() && self.load(payload)?.is_some() {
            return Ok(());
        }
        self.storage.put(&Self::key(payload)?, bytes.clone(), PutIf::Always)
    }

    /// Writes the payload where it was removed after [`store`](Self::store).
    pub(crate) fn ensure(&self, payload: &Digest, bytes: &Bytes) -> Result<()> {
        let key = Self::key(payload)?;
        match self.storage.head(&key)? {
            Some(_) => Ok(()),
            None => self.storage.put(&key, bytes.clone(), PutIf::Always),
        }
    }

    pub(crate) fn remove(&self, payload: &Digest) -> Result<()> {
        self.storage.remove(&Self::key(payload)?).map(drop)
    }

    /// Every object that is named as a payload, by digest.
    pub(crate) fn list(&self) -> Result<impl Iterator<Item = Result<(Digest, Entry)>>> {
        let named = |entry: Entry| {
            let digest = entry.key.name().parse::<Digest>().ok()?;
            Self::key(&digest).is_ok_and(|key| key == entry.key).then_some((digest, entry))
        };
        let entries = self.storage.list(Some(&Key::new("blobs")?))?;
        Ok(entries.filter_map(move |entry| entry.map(named).transpose()))
    }
}

/// What is wrong with a payload that [`Blobs::load`] did not give.
pub(crate) fn lost(payload: &Digest) -> Result<Error> {
    let message = "the payload is missing or damaged: compute it anew, which replaces it, or delete its record";
    Ok(Error::new(ErrorKind::Corrupt, message).at_key(&Blobs::key(payload)?))
}
