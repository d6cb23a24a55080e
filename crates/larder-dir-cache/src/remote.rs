//! The tier above a root: packed entries in a storage that a fleet of roots shares.
//!
//! An entry is an archive, named by its digest, and a manifest that names it and is published after it, on condition
//! that nobody else did meanwhile. An archive without a manifest is nothing; the next publication removes it.

use std::{path::Path, sync::Arc};

use larder_storage::{
    Digest, Error, ErrorKind, Key, Object, PutIf, Result, Storage, Version,
    flight::{self, Flights},
};

mod fetch;
mod manifest;
mod names;
mod pack;
mod pieces;
#[cfg(test)]
mod tests;
mod unpack;

pub(crate) use fetch::{Look, Made};
use manifest::Manifest;
pub use manifest::REMOTE_FORMAT_VERSION;
use pieces::Pieces;

use crate::{Measure, index::Row, tree::measure};

/// A storage that a fleet shares, and who of the fleet builds what.
#[derive(Debug)]
pub(crate) struct Remote {
    storage: Arc<dyn Storage>,
    flights: Flights,
}

impl Remote {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Result<Self> {
        Self::with_flights(storage, flight::Options::default())
    }

    fn with_flights(storage: Arc<dyn Storage>, options: flight::Options) -> Result<Self> {
        let flights = Flights::on(Arc::clone(&storage), options)?;
        Ok(Self { storage, flights })
    }

    /// The manifest, whatever is in it.
    fn find(&self, key: &Key) -> Result<Option<Object>> {
        self.storage.get(&manifest_at(key)?)
    }

    /// The manifest that was found.
    fn parse(key: &Key, found: &Object) -> Result<Manifest> {
        let at = manifest_at(key)?;
        Manifest::parse(found.bytes()).map_err(|error| error.at_key(&at))
    }

    /// Unpacks the entry of the manifest into the empty directory `dir`, and checks all of it.
    fn unpack(&self, key: &Key, manifest: &Manifest, dir: &Path) -> Result<()> {
        let at = archive_at(key, &manifest.archive)?;
        let damaged = |why| Error::new(ErrorKind::Corrupt, why).at_key(&at);
        let reader = self.storage.open(&at)?;
        let reader = reader.ok_or_else(|| damaged("is missing, and its manifest is there"))?;
        if reader.len() != manifest.length {
            return Err(damaged("has another length than its manifest says"));
        }
        let mut pieces = Pieces::new(reader);
        let unpacked = unpack::unpack(&mut pieces, dir).map_err(|error| match error.kind() {
            ErrorKind::Corrupt => error.at_key(&at),
            _ => error,
        });
        // What the storage failed with is why there was nothing to unpack.
        pieces.check().and(unpacked)?;
        if pieces.digest()? != manifest.archive {
            return Err(damaged("has another digest than its name says"));
        }
        let tree = measure(dir, Measure::default())?;
        if (tree.files, tree.listing) != (manifest.files, manifest.listing) {
            return Err(damaged("holds other files than its manifest says"));
        }
        Ok(())
    }

    /// The right to build the entry for the fleet, once nobody else has it; `None` where the manifest is not what was
    /// `seen` any more, so that it is worth another look.
    fn lead(&self, key: &Key, seen: Option<Version>) -> Result<Option<Lead<'_>>> {
        let lease = self.flights.enter(manifest_at(key)?.as_str())?;
        let now = self.find(key)?.map(|object| object.version().clone());
        Ok((now == seen).then_some(Lead { remote: self, lease, seen }))
    }

    /// Removes the entry; whether it was there.
    pub(crate) fn remove(&self, key: &Key) -> Result<bool> {
        let at = manifest_at(key)?;
        let lease = self.flights.enter(at.as_str())?;
        let removed = self.storage.remove(&at)?;
        // Who was silent for too long would take what another one has published since.
        lease.check()?;
        self.sweep(key, |_| false)?;
        Ok(removed)
    }

    /// Removes what lies beside the manifest, but for what is to be kept.
    fn sweep(&self, key: &Key, keep: impl Fn(&Key) -> bool) -> Result<()> {
        let manifest = manifest_at(key)?;
        let beside = self.storage.keys(Some(&folder_of(key)?))?.collect::<Result<Vec<_>>>()?;
        for at in beside.iter().filter(|at| **at != manifest && !keep(at)) {
            self.storage.remove(at)?;
        }
        Ok(())
    }
}

/// The right to build one entry for the fleet.
#[derive(Debug)]
pub(crate) struct Lead<'a> {
    remote: &'a Remote,
    lease: flight::Lease<'a>,
    /// The manifest that is to be replaced, where there is one.
    seen: Option<Version>,
}

impl Lead<'_> {
    /// Publishes the entry in `dir`. `Conflict` where somebody else did so, after this lead was silent for too long.
    pub(crate) fn publish(self, key: &Key, dir: &Path, row: &Row) -> Result<()> {
        let storage = &*self.remote.storage;
        // Packed twice: the name of the archive is its digest, and a copy of it on this disk might not fit.
        let packed = pack::pack(dir, std::io::sink())?;
        let at = archive_at(key, &packed.digest)?;
        let mut upload = storage.create(&at)?;
        if pack::pack(dir, &mut upload)? != packed {
            let message = "was changed while it was packed: entries are not to be written";
            return Err(Error::new(ErrorKind::Conflict, message).at_path(dir));
        }
        upload.commit(PutIf::Always)?;
        let manifest = Manifest::new(&packed, row).encode()?;
        self.lease.publish(storage, &manifest_at(key)?, manifest, self.seen.as_ref())?;
        // Nobody else publishes here now: the lease has just been renewed.
        self.remote.sweep(key, |other| *other == at)
    }
}

fn folder_of(key: &Key) -> Result<Key> {
    Key::new(format!("dirs/{}", Key::encode(key.as_str())?))
}

fn manifest_at(key: &Key) -> Result<Key> {
    Key::new(format!("{}/manifest.json", folder_of(key)?))
}

fn archive_at(key: &Key, digest: &Digest) -> Result<Key> {
    Key::new(format!("{}/{digest}.tar", folder_of(key)?))
}
