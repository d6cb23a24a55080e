//! How an entry comes to be: reserved, filled out of sight, measured, recorded, renamed to its place.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use larder_storage::{Digest, Error, ErrorKind, Key, Result, publish::StagedDir, time::now_ns};

use crate::{
    BuildOptions,
    build::clear_the_way,
    core::Core,
    index::{Room, Row, State},
    settle::is_real_dir,
    tree::{Tree, measure},
};

/// No entry is larger, so that no sum of sizes passes what the index can count.
pub(crate) const MAX_SIZE: u64 = 1 << 50;

/// What is known of an entry before it is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The bytes to keep free for it.
    pub(crate) room: u64,
    pub(crate) options: BuildOptions,
    /// When its content was made, where that was not now.
    pub(crate) made_at_ns: Option<i64>,
}

impl Core {
    /// Makes an entry by `build`.
    pub(crate) fn publish_new(
        &self,
        key: &Key,
        path: &Path,
        options: BuildOptions,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Row> {
        let plan = Plan { room: options.reserve.unwrap_or(0), options, made_at_ns: None };
        self.enter(key, path, plan, |dir| {
            let start = Instant::now();
            build(dir).map(|()| start.elapsed())
        })
    }

    /// Makes an entry of what `fill` leaves in the directory that it is given; it says what making it again would take.
    pub(crate) fn enter<E: From<Error>>(
        &self,
        key: &Key,
        path: &Path,
        plan: Plan,
        fill: impl FnOnce(&Path) -> std::result::Result<Duration, E>,
    ) -> std::result::Result<Row, E> {
        self.reserve(key, plan)?;
        let reservation = Reservation { core: self, key };
        let (staged, row) = self.fill_and_seal(key, path, plan, fill)?;
        reservation.keep();
        self.rename(&row, key, path, staged)?;
        // A failure from here on leaves a row that says `publishing`, which is settled when the claim goes.
        self.finish(path, &row)?;
        Ok(row)
    }

    fn fill_and_seal<E: From<Error>>(
        &self,
        key: &Key,
        path: &Path,
        plan: Plan,
        fill: impl FnOnce(&Path) -> std::result::Result<Duration, E>,
    ) -> std::result::Result<(StagedDir, Row), E> {
        clear_the_way(self, key, path)?;
        let staged = self.storage.stage().dir()?;
        let cost = fill(staged.path())?;
        check_stage(staged.path())?;
        let tree = measure(staged.path(), self.options.measure)?;
        self.check_tree(key, &tree, plan.options)?;
        let row = self.built_row(key, &tree, cost, plan)?;
        let limit = self.options.limit;
        self.with_room(key, row.size, || self.index.seal(&row, limit))?;
        Ok((staged, row))
    }

    /// When an entry that was made at this time is no longer handed out.
    pub(crate) fn expiry(&self, options: BuildOptions, made_at_ns: i64) -> Option<i64> {
        let ttl = options.ttl.or(self.options.ttl)?;
        let ttl_ns = i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX);
        Some(made_at_ns.saturating_add(ttl_ns))
    }

    /// Announces the builder, and makes room for what it will write.
    fn reserve(&self, key: &Key, plan: Plan) -> Result<()> {
        let row = self.reserved_row(key, plan);
        self.check_size(key, row.size)?;
        let insert = || self.index.insert(key, &row, self.options.limit);
        match self.with_room(key, row.size, insert) {
            // What a dead builder reserved above or below is no entry.
            Err(error) if error.kind() == ErrorKind::Invalid => {
                self.recover()?;
                self.with_room(key, row.size, insert)
            }
            reserved => reserved,
        }
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
        let room = self.options.evict_above.min(MAX_SIZE);
        if size > room {
            let message =
                format!("the entry has {size} bytes and the whole cache {room}: raise evict_above");
            return Err(Error::new(ErrorKind::Full, message).at_key(key));
        }
        Ok(())
    }

    fn rename(&self, row: &Row, key: &Key, path: &Path, staged: StagedDir) -> Result<()> {
        let renamed = staged.rename(path).inspect_err(|_| {
            // What is there is not what was built, so the row must not be settled to mean it.
            let _ = self.index.delete(key.as_str());
        })?;
        renamed.settle().inspect_err(|_| {
            // It is in its place and may not last. The caller is told that there is no entry, so none may remain; what
            // cannot be removed now is settled when the claim goes.
            let _ = self.take_away(row.id, key, path);
        })
    }

    fn reserved_row(&self, key: &Key, plan: Plan) -> Row {
        let now_ns = now_ns();
        Row {
            id: 0,
            key: key.as_str().to_owned(),
            state: State::Reserved,
            size: plan.room,
            files: 0,
            listing: Digest::of(b""),
            built_at_ns: now_ns,
            last_access_ns: now_ns,
            access_count: 1,
            meta_count: -1,
            build_cost_ns: None,
            pinned: plan.options.pinned,
            expires_at_ns: None,
            priority: 0.0,
            checked_boot: (!self.options.durability.syncs()).then_some(self.boot),
        }
    }

    /// The row of what was built, with the number that was reserved.
    fn built_row(&self, key: &Key, tree: &Tree, cost: Duration, plan: Plan) -> Result<Row> {
        let reserved = self.index.find(key.as_str())?.ok_or_else(|| {
            let message = "was removed from the index while it was built: try again";
            Error::new(ErrorKind::Conflict, message).at_key(key)
        })?;
        let now_ns = now_ns();
        Ok(Row {
            state: State::Publishing,
            size: tree.size,
            files: tree.files,
            listing: tree.listing,
            built_at_ns: now_ns,
            last_access_ns: now_ns,
            build_cost_ns: Some(u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX)),
            expires_at_ns: self.expiry(plan.options, plan.made_at_ns.unwrap_or(now_ns)),
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

/// What is reserved is free when this goes, also in a panic, where it was not sealed.
struct Reservation<'a> {
    core: &'a Core,
    key: &'a Key,
}

impl Reservation<'_> {
    /// For what was sealed.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // A row that stays is settled when the claim goes.
        let _ = self.core.index.unreserve(self.key.as_str());
    }
}

/// Refuses what is not the directory any more that the builder was given.
fn check_stage(stage: &Path) -> Result<()> {
    if is_real_dir(stage)? {
        return Ok(());
    }
    let message =
        "was removed or replaced by the builder: it is to fill the directory that it is given";
    Err(Error::new(ErrorKind::Invalid, message).at_path(stage))
}
