//! How an entry comes to be.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use larder_storage::{Error, ErrorKind, Key, Result, publish::StagedDir, time::now_ns};

use crate::{
    core::Core,
    index::{Row, State},
    lease::{Claim, Lease, Redeemed, take},
    meta,
    remote::{Lead, Look, Made, Remote},
    settle::{Settled, remove_if_hollow},
    tree::{Tree, measure},
};

/// The entry under a lease, if it is there or in the tier above.
pub(crate) fn get(core: &Arc<Core>, key: &Key) -> Result<Option<Lease>> {
    match (take(core, key)?, core.remote.get()) {
        (None, Some(remote)) => get_from(core, remote, key),
        (lease, _) => Ok(lease),
    }
}

fn get_from(core: &Arc<Core>, remote: &Remote, key: &Key) -> Result<Option<Lease>> {
    let entered = {
        // Whoever makes it in this root has not done so yet.
        let Some(_flight) = core.flights.try_enter(key.as_str())? else { return Ok(None) };
        find_or_fetch(core, remote, key)?
    };
    entered.map(|entered| entered.tell(core, key)).transpose()
}

/// The entry under a lease: the one that is there or in the tier above, or a new one by `build`.
pub(crate) fn get_or_build(
    core: &Arc<Core>,
    key: &Key,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<Lease> {
    if let Some(lease) = take(core, key)? {
        return Ok(lease);
    }
    let entered = {
        let _flight = core.flights.enter(key.as_str())?;
        find_or_build(core, key, build)?
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
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<Entered<'a>> {
    let (claim, path) = match make_way(core, key)? {
        Way::There(lease, settled) => return Ok(Entered::found(lease, settled)),
        Way::Free(claim, path) => (claim, path),
    };
    Ok(match core.fetch_or_build(key, &path, build)? {
        Made::Fetched(row) => Entered::found(claim.fetched(path), Settled::Entered(row.size)),
        Made::Built(row, lead) => Entered {
            lease: claim.built(path),
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
    match core.fetch(remote, key, &path)? {
        Look::Fetched(row) => {
            Ok(Some(Entered::found(claim.fetched(path), Settled::Entered(row.size))))
        }
        Look::Missing => Ok(None),
        Look::Damaged(_, error) | Look::Failed(error) => {
            core.tell_unfetched(key, &error);
            Ok(None)
        }
    }
}

/// What the holder of a key's flight finds.
enum Way<'a> {
    There(Lease, Settled),
    /// There is room for the entry here.
    Free(Claim<'a>, PathBuf),
}

fn make_way<'a>(core: &'a Arc<Core>, key: &'a Key) -> Result<Way<'a>> {
    let claim = Claim::new(core, key)?;
    let settled = core.settle_held(key)?;
    let claim = match claim.redeem()? {
        Redeemed::Lease(lease) => return Ok(Way::There(lease, settled)),
        Redeemed::Nothing(claim) => claim,
    };
    let path = core.path(key)?;
    core.index.check_free(key)?;
    clear_the_way(core, key, &path)?;
    Ok(Way::Free(claim, path))
}

impl Core {
    pub(crate) fn publish_new(
        &self,
        key: &Key,
        path: &Path,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Row> {
        let staged = self.storage.stage().dir()?;
        let start = Instant::now();
        build(staged.path())?;
        let cost = start.elapsed();
        let tree = measure(staged.path())?;
        self.publish_tree(key, path, staged, &tree, cost)
    }

    /// Makes an entry of what is staged, which took `cost` to make.
    pub(crate) fn publish_tree(
        &self,
        key: &Key,
        path: &Path,
        staged: StagedDir,
        tree: &Tree,
        cost: Duration,
    ) -> Result<Row> {
        self.check_tree(key, tree)?;
        let cost_ns = u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX);
        let row = new_row(key, tree, cost_ns);
        self.index.insert(key, &row)?;
        self.rename(key, path, staged)?;
        // A failure from here on leaves a row that says `publishing`, which is settled when the claim goes.
        self.finish(path, &row)?;
        Ok(row)
    }

    fn check_tree(&self, key: &Key, tree: &Tree) -> Result<()> {
        if let Some(path) = &tree.reserved {
            let message =
                "was made by the builder: names that start with .cache_meta are the cache's own";
            return Err(Error::new(ErrorKind::Invalid, message).at_path(path));
        }
        let room = self.options.evict_above;
        if tree.size > room {
            let message = format!(
                "the entry has {} bytes and the whole cache {room}: raise evict_above",
                tree.size
            );
            return Err(Error::new(ErrorKind::Full, message).at_key(key));
        }
        Ok(())
    }

    fn rename(&self, key: &Key, path: &Path, staged: StagedDir) -> Result<()> {
        let renamed = staged.publish(path);
        match renamed.as_ref().map_err(Error::kind) {
            Ok(()) => {}
            // What is there is not what was built, so the row must not be settled to mean it.
            Err(ErrorKind::Conflict) => {
                self.index.delete(key.as_str())?;
            }
            // It may be in its place and not last. The caller is told that there is no entry, so none may remain;
            // what cannot be removed now is settled when the claim goes.
            Err(_) => {
                let _ = self.take_away(key, path);
            }
        }
        renamed
    }
}

fn new_row(key: &Key, tree: &Tree, cost_ns: u64) -> Row {
    let now_ns = now_ns();
    Row {
        key: key.as_str().to_owned(),
        state: State::Publishing,
        size: tree.size,
        files: tree.files,
        listing: tree.listing,
        built_at_ns: now_ns,
        last_access_ns: now_ns,
        access_count: 1,
        meta_count: -1,
        build_cost_ns: Some(cost_ns),
        pinned: false,
    }
}

/// Checks on the disk what the index cannot know: what other programs have put where the entry is to lie.
fn clear_the_way(core: &Core, key: &Key, path: &Path) -> Result<()> {
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
