//! How a lease comes about on what is there, in the tier above, or to be built.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_storage::{Error, ErrorKind, Key, Result, time::now_ns};

use crate::{
    BuildOptions,
    core::Core,
    index::{Row, State},
    lease::{Claim, Lease, Redeemed, take},
    meta,
    remote::{Lead, Look, Made, Remote},
    removal::Removal,
    settle::{Settled, remove_if_hollow},
};

/// The entry under a lease, if it is there or in the tier above.
pub(crate) fn get(core: &Arc<Core>, key: &Key) -> Result<Option<Lease>> {
    match (take(core, key)?, core.remote.get()) {
        (None, Some(remote)) => get_from(core, remote, key),
        (lease, _) => Ok(lease),
    }
}

fn get_from(core: &Arc<Core>, remote: &Remote, key: &Key) -> Result<Option<Lease>> {
    let found = {
        let flight = match core.flights.enter(key.as_str()) {
            // This thread builds it, or one that waits for it, and it is not there yet.
            Err(error) if error.kind() == ErrorKind::Locked => return Ok(None),
            flight => flight?,
        };
        let found = find_or_fetch(core, remote, key);
        drop(flight);
        found
    };
    match found {
        // It has expired and is in use, or there is no room for it here: a miss like others.
        Err(error) if matches!(error.kind(), ErrorKind::Locked | ErrorKind::Full) => {
            core.tell_unfetched(key, &error);
            Ok(None)
        }
        found => found?.map(|entered| entered.tell(core, key)).transpose(),
    }
}

/// The entry under a lease: the one that is there or in the tier above, or a new one by `build`.
pub(crate) fn get_or_build(
    core: &Arc<Core>,
    key: &Key,
    options: BuildOptions,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<Lease> {
    if let Some(lease) = take(core, key)? {
        return Ok(lease);
    }
    let entered = {
        let _flight = core.flights.enter(key.as_str())?;
        find_or_build(core, key, options, build)?
    };
    entered.tell(core, key)
}

/// What came of a miss.
struct Entered<'a> {
    lease: Lease,
    settled: Settled,
    /// What is to be published in the tier above.
    publication: Option<(Lead<'a>, Row)>,
}

impl Entered<'_> {
    fn found(lease: Lease, settled: Settled) -> Self {
        Self { lease, settled, publication: None }
    }

    /// Tells the others, when the flight of the key is over: those in this root need not wait for an upload.
    fn tell(self, core: &Core, key: &Key) -> Result<Lease> {
        core.tell_settled(key, &self.settled);
        core.wake_if_over();
        if let Some((lead, row)) = self.publication
            && let Err(error) = lead.publish(key, self.lease.path(), &row)
        {
            core.watch().failed(&error, &format!("publishing {key} in the remote tier"));
        }
        Ok(self.lease)
    }
}

/// Holds the flight of the key.
fn find_or_build<'a>(
    core: &'a Arc<Core>,
    key: &Key,
    options: BuildOptions,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<Entered<'a>> {
    let (claim, path) = match make_way(core, key)? {
        Way::There(lease, settled) => return Ok(Entered::found(lease, settled)),
        Way::Free(claim, path) => (claim, path),
    };
    Ok(match core.fetch_or_build(key, &path, options, build)? {
        Made::Fetched(row) => {
            Entered::found(claim.lease(row.id, path, false), Settled::Entered(row.size))
        }
        Made::Built(row, lead) => Entered {
            lease: claim.lease(row.id, path, true),
            settled: Settled::Entered(row.size),
            publication: lead.map(|lead| (lead, row)),
        },
    })
}

/// Holds the flight of the key.
fn find_or_fetch<'a>(
    core: &'a Arc<Core>,
    remote: &Remote,
    key: &Key,
) -> Result<Option<Entered<'a>>> {
    let (claim, path) = match make_way(core, key)? {
        Way::There(lease, settled) => return Ok(Some(Entered::found(lease, settled))),
        Way::Free(claim, path) => (claim, path),
    };
    match core.fetch(remote, key, &path, BuildOptions::default())? {
        Look::Fetched(row) => {
            let lease = claim.lease(row.id, path, false);
            Ok(Some(Entered::found(lease, Settled::Entered(row.size))))
        }
        Look::Missing | Look::Expired(_) => Ok(None),
        Look::Damaged(_, error) | Look::Failed(error) => {
            core.tell_unfetched(key, &error);
            Ok(None)
        }
    }
}

/// What the holder of a key's flight finds.
enum Way<'a> {
    There(Lease, Settled),
    /// There is no entry, and nobody else makes one here.
    Free(Claim<'a>, PathBuf),
}

fn make_way<'a>(core: &'a Arc<Core>, key: &'a Key) -> Result<Way<'a>> {
    let now_ns = now_ns();
    core.remove_expired(key, now_ns)?;
    let claim = Claim::new(core, key)?;
    let settled = core.settle_held(key)?;
    let claim = match claim.redeem(now_ns)? {
        Redeemed::Lease(lease) => return Ok(Way::There(lease, settled)),
        Redeemed::Nothing(claim) => claim,
    };
    // A remover died, or redeeming has found that the entry is damaged.
    let is_removing =
        core.index.find(key.as_str())?.is_some_and(|row| row.state == State::Removing);
    let claim = if is_removing { claim.after_removal()? } else { claim };
    let path = core.path(key)?;
    Ok(Way::Free(claim, path))
}

impl Core {
    fn remove_expired(&self, key: &Key, now_ns: i64) -> Result<()> {
        let is_expired =
            self.index.present(key.as_str())?.is_some_and(|entry| entry.is_expired(now_ns));
        if is_expired && self.remove(key)? == Removal::Leased {
            let message = "has expired and is still in use: drop the leases on it, in all processes, and try again";
            return Err(Error::new(ErrorKind::Locked, message).at_key(key));
        }
        Ok(())
    }
}

/// Checks on the disk what the index cannot know: what other programs have put where the entry is to lie.
pub(crate) fn clear_the_way(core: &Core, key: &Key, path: &Path) -> Result<()> {
    let root = core.storage.root();
    let above: Vec<&Path> = path.ancestors().skip(1).take_while(|above| *above != root).collect();
    if let Some(entry) = above.iter().find(|above| meta::marks(above)) {
        let message =
            format!("the key {:?} lies inside this entry: entries do not nest", key.as_str());
        return Err(Error::new(ErrorKind::Invalid, message).at_path(entry));
    }
    if let Some(file) =
        above.iter().find(|above| fs::symlink_metadata(above).is_ok_and(|found| !found.is_dir()))
    {
        return Err(in_the_way(file.to_path_buf()));
    }
    if path.is_dir() {
        remove_if_hollow(path)?;
    }
    if fs::symlink_metadata(path).is_ok() { Err(in_the_way(path.to_owned())) } else { Ok(()) }
}

fn in_the_way(path: PathBuf) -> Error {
    Error::new(ErrorKind::Conflict, "is no entry of the cache and in the way of one: move it away")
        .at_path(path)
}
