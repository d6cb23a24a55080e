//! How an entry comes to be.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use larder_storage::{Digest, Error, ErrorKind, Key, Result, publish::StagedDir, time::now_ns};

use crate::{
    BuildOptions,
    core::Core,
    evict::Removal,
    index::{Room, Row, State},
    lease::{Claim, Lease, Redeemed, take},
    meta,
    settle::{Settled, remove_if_hollow},
    tree::{Tree, measure},
};

/// The entry under a lease: the one that is there, or a new one by `build`.
pub(crate) fn get_or_build(
    core: &Arc<Core>,
    key: &Key,
    options: BuildOptions,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<Lease> {
    if let Some(lease) = take(core, key)? {
        return Ok(lease);
    }
    let (lease, settled) = {
        let _flight = core.flights.enter(key.as_str())?;
        find_or_build(core, key, options, build)?
    };
    core.tell_settled(key, &settled);
    core.wake_if_over();
    Ok(lease)
}

/// Holds the flight of the key.
fn find_or_build(
    core: &Arc<Core>,
    key: &Key,
    options: BuildOptions,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<(Lease, Settled)> {
    let now_ns = now_ns();
    core.remove_expired(key, now_ns)?;
    let claim = Claim::new(core, key)?;
    let settled = core.settle_held(key)?;
    let claim = match claim.redeem(now_ns)? {
        Redeemed::Lease(lease) => return Ok((lease, settled)),
        Redeemed::Nothing(claim) => claim,
    };
    // Redeeming may have found that the entry is damaged.
    core.settle_held(key)?;
    let path = core.path(key)?;
    let row = core.publish_new(key, &path, options, build)?;
    Ok((claim.built(row.id, path), Settled::Entered(row.size)))
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

    fn publish_new(
        &self,
        key: &Key,
        path: &Path,
        options: BuildOptions,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Row> {
        self.reserve(key, options)?;
        let sealed =
            clear_the_way(self, key, path).and_then(|()| self.build_and_seal(key, options, build));
        let (staged, row) = sealed.inspect_err(|_| {
            // What it reserved is free; a row that stays is settled when the claim goes.
            let _ = self.index.unreserve(key.as_str());
        })?;
        self.rename(&row, key, path, staged)?;
        // A failure from here on leaves a row that says `publishing`, which is settled when the claim goes.
        self.finish(path, &row)?;
        Ok(row)
    }

    /// Announces the builder, and makes room for what it will write.
    fn reserve(&self, key: &Key, options: BuildOptions) -> Result<()> {
        let row = self.reserved_row(key, options);
        self.check_size(key, row.size)?;
        self.with_room(key, row.size, || self.index.insert(key, &row, self.options.limit))
    }

    fn build_and_seal(
        &self,
        key: &Key,
        options: BuildOptions,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<(StagedDir, Row)> {
        let staged = self.storage.stage().dir()?;
        let start = Instant::now();
        build(staged.path())?;
        let cost = start.elapsed();
        let tree = measure(staged.path(), self.options.measure)?;
        self.check_tree(key, &tree, options)?;
        let row = self.built_row(key, &tree, cost, options)?;
        let limit = self.options.limit;
        self.with_room(key, row.size, || self.index.seal(&row, limit))?;
        Ok((staged, row))
    }

    fn check_tree(&self, key: &Key, tree: &Tree, options: BuildOptions) -> Result<()> {
        if let Some(path) = &tree.reserved {
            let message =
                "was made by the builder: names that start with .cache_meta are the cache's own";
            return Err(Error::new(ErrorKind::Invalid, message).at_path(path));
        }
        self.check_size(key, tree.size)?;
        match options.reserve {
            Some(reserved) if tree.size > reserved => {
                let message = format!(
                    "the entry has {} bytes and its builder reserved {reserved}: reserve more",
                    tree.size
                );
                Err(Error::new(ErrorKind::Full, message).at_key(key))
            }
            _ => Ok(()),
        }
    }

    fn check_size(&self, key: &Key, size: u64) -> Result<()> {
        let room = self.options.evict_above;
        if size > room {
            let message =
                format!("the entry has {size} bytes and the whole cache {room}: raise evict_above");
            return Err(Error::new(ErrorKind::Full, message).at_key(key));
        }
        Ok(())
    }

    fn rename(&self, row: &Row, key: &Key, path: &Path, staged: StagedDir) -> Result<()> {
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
                let _ = self.take_away(row.id, key, path);
            }
        }
        renamed
    }

    fn reserved_row(&self, key: &Key, options: BuildOptions) -> Row {
        let now_ns = now_ns();
        Row {
            id: 0,
            key: key.as_str().to_owned(),
            state: State::Reserved,
            size: options.reserve.unwrap_or(0),
            files: 0,
            listing: Digest::of(b""),
            built_at_ns: now_ns,
            last_access_ns: now_ns,
            access_count: 1,
            meta_count: -1,
            build_cost_ns: None,
            pinned: options.pinned,
            expires_at_ns: None,
            priority: 0.0,
            checked_boot: (!self.options.durability.syncs()).then_some(self.boot),
        }
    }

    /// The row of what was built, with the number that was reserved.
    fn built_row(
        &self,
        key: &Key,
        tree: &Tree,
        cost: Duration,
        options: BuildOptions,
    ) -> Result<Row> {
        let reserved = self.index.find(key.as_str())?.ok_or_else(|| {
            let message = "was removed from the index while it was built: try again";
            Error::new(ErrorKind::Conflict, message).at_key(key)
        })?;
        let now_ns = now_ns();
        let ttl = options.ttl.or(self.options.ttl);
        let ttl_ns = ttl.map(|ttl| i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX));
        Ok(Row {
            state: State::Publishing,
            size: tree.size,
            files: tree.files,
            listing: tree.listing,
            built_at_ns: now_ns,
            last_access_ns: now_ns,
            build_cost_ns: Some(u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX)),
            expires_at_ns: ttl_ns.map(|ttl_ns| now_ns.saturating_add(ttl_ns)),
            ..reserved
        })
    }

    /// Does what needs room, and evicts for as long as there is too little.
    fn with_room(&self, key: &Key, bytes: u64, attempt: impl Fn() -> Result<Room>) -> Result<()> {
        loop {
            let Room::Short(missing) = attempt()? else { return Ok(()) };
            if !self.free(missing)? {
                let used = self.index.counters()?.used;
                let message = format!(
                    "no room for {bytes} bytes: of the limit of {} bytes {used} are in use, and what may be evicted is \
                     less than the {missing} missing: raise the limit, or drop leases and pins",
                    self.options.limit.unwrap_or_default()
                );
                return Err(Error::new(ErrorKind::Full, message).at_key(key));
            }
        }
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
