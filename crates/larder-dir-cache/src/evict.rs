//! How entries go.

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use larder_storage::{Error, ErrorKind, Key, Result, lock::FileLock, time::now_ns};

use crate::{
    EntryInfo, Policy,
    core::Core,
    index::{Counters, Row, State},
};

/// The flight of evictions: one at a time on a root, or two would both free what one has to. No entry has this key.
const EVICTION: &str = "";

/// What became of an attempt to remove an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    Done,
    Absent,
    Leased,
}

/// How far an eviction goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// The sizes of the entries are not above the threshold.
    Threshold,
    /// So many bytes are in use at most, with what is being built and deleted.
    Used(u64),
}

/// What an eviction has done, to be told when its flight is over.
#[derive(Debug, Default)]
struct Outcome {
    gone: Vec<String>,
    failed: Vec<(String, Error)>,
    /// What was tried, whether or not it went.
    tried: HashSet<String>,
}

impl Core {
    /// Takes the entry out, unless somebody has it under a lease.
    pub(crate) fn remove(&self, key: &Key) -> Result<Removal> {
        match self.index.find(key.as_str())? {
            Some(row) if row.state == State::Live => {}
            None => return Ok(Removal::Absent),
            // Not while whoever works on it is alive.
            Some(_) => return self.settle(key).map(|_| Removal::Absent),
        }
        let Some(lock) = FileLock::try_exclusive(&self.lease_file(key))? else {
            return Ok(Removal::Leased);
        };
        self.settle_held(key)?;
        let row = self.index.find(key.as_str())?;
        let Some(row) = row.filter(|row| row.state == State::Live) else {
            lock.remove()?;
            return Ok(Removal::Absent);
        };
        self.index.begin_removal(key.as_str())?;
        self.move_away(row.id, key, &self.path(key)?)?;
        lock.remove()?;
        // Its name is free: what cannot be deleted now is tried again each cycle.
        if let Err(error) = self.delete_trash(row.id) {
            self.watch().failed(&error, &format!("deleting the files of {key}"));
        }
        Ok(Removal::Done)
    }

    /// Evicts while the cache is over its threshold and `policy` names victims; returns what went.
    pub(crate) fn evict(&self, policy: &dyn Policy) -> Result<Vec<String>> {
        let (gone, done) = self.evict_until(policy, Goal::Threshold)?;
        self.report(gone, done.map(|_| ()), "evicting more")
    }

    /// Frees bytes for a builder, by deleting what dead processes left and by evicting; whether anything is or was free
    /// that was not before, though others may have taken it meanwhile.
    pub(crate) fn free(&self, bytes: u64) -> Result<bool> {
        let before = self.index.counters()?.used;
        self.recover()?;
        self.empty_trash()?;
        let freed = before.saturating_sub(self.index.counters()?.used);
        if freed > 0 {
            return Ok(true);
        }
        let goal = Goal::Used(before.saturating_sub(bytes));
        let (gone, done) = self.evict_until(self.options.policy.as_ref(), goal)?;
        let fell = || self.index.counters().is_ok_and(|now| now.used < before);
        done.map(|is_met| is_met || !gone.is_empty() || fell())
    }

    /// What went, and whether the goal was met or why it ended.
    fn evict_until(&self, policy: &dyn Policy, goal: Goal) -> Result<(Vec<String>, Result<bool>)> {
        let mut outcome = Outcome::default();
        let done = {
            let _alone = self.flights.enter(EVICTION)?;
            self.evict_alone(policy, goal, &mut outcome)
        };
        self.tell_evicted(&outcome.gone);
        for (key, error) in &outcome.failed {
            self.watch().failed(error, &format!("evicting {key}"));
        }
        Ok((outcome.gone, done))
    }

    fn tell_evicted(&self, keys: &[String]) {
        for key in keys {
            self.watch().tell(|observer| observer.on_evict(key));
        }
    }

    /// Whether the goal is met.
    fn evict_alone(&self, policy: &dyn Policy, goal: Goal, outcome: &mut Outcome) -> Result<bool> {
        if self.overage(goal)? == 0 {
            return Ok(true);
        }
        self.count_uses()?;
        self.rank()?;
        // Doubled each round, so that a cache of many leased entries is asked about a few times, not once for each.
        let mut factor = 1_u64;
        loop {
            let overage = self.overage(goal)?;
            let candidates = self.candidates(goal, &outcome.tried)?;
            if overage == 0 || !goal.is_met_by(overage, &candidates) {
                return Ok(overage == 0);
            }
            let victims = ask(policy, &candidates, overage.saturating_mul(factor))?;
            let offered: HashMap<&str, f64> =
                candidates.iter().map(|entry| (entry.key.as_str(), entry.priority)).collect();
            let before = outcome.tried.len();
            for key in &victims {
                let Some(priority) = offered.get(key.as_str()) else { continue };
                if self.overage(goal)? == 0 {
                    return Ok(true);
                }
                if outcome.tried.insert(key.clone()) && self.evict_one(key, outcome) {
                    self.index.lift_floor(*priority)?;
                }
            }
            if outcome.tried.len() == before {
                return Ok(false);
            }
            factor = factor.saturating_mul(2);
        }
    }

    /// By how many bytes the goal is missed.
    fn overage(&self, goal: Goal) -> Result<u64> {
        let Counters { size, used, .. } = self.index.counters()?;
        Ok(match goal {
            Goal::Threshold => size.saturating_sub(self.options.evict_above),
            Goal::Used(most) => used.saturating_sub(most),
        })
    }

    /// Asks the policy what to remember of all that was accessed since the last eviction.
    fn rank(&self) -> Result<()> {
        let rows = self.index.unranked()?;
        if rows.is_empty() {
            return Ok(());
        }
        let floor = self.index.floor()?;
        let policy = self.options.policy.as_ref();
        let mut ranks = Vec::with_capacity(rows.len());
        for row in &rows {
            let info = row.clone().info();
            let priority = unwinding(|| policy.priority(&info, floor))?;
            ranks.push(if priority.is_finite() { priority } else { 0.0 });
        }
        self.index.rank(rows.iter().zip(ranks))
    }

    fn evict_one(&self, key: &str, outcome: &mut Outcome) -> bool {
        match Key::new(key).and_then(|key| self.remove(&key)) {
            Ok(Removal::Done) => {
                outcome.gone.push(key.to_owned());
                return true;
            }
            Ok(Removal::Absent | Removal::Leased) => {}
            Err(error) => outcome.failed.push((key.to_owned(), error)),
        }
        false
    }

    /// What may go: nothing pinned, nothing tried before, and not the newest, so that no build is undone at once, but where
    /// room is needed.
    fn candidates(&self, goal: Goal, tried: &HashSet<String>) -> Result<Vec<EntryInfo>> {
        let live = self.index.live()?;
        let newest = live.iter().map(|row| (row.built_at_ns, row.key.clone())).max();
        let newest = newest.filter(|_| goal == Goal::Threshold).map(|(_, key)| key);
        let may_go = |row: &Row| {
            !row.pinned && !tried.contains(&row.key) && newest.as_ref() != Some(&row.key)
        };
        Ok(live.into_iter().filter(may_go).map(Row::info).collect())
    }

    /// Removes what has expired and is not in use; returns what went.
    fn expire(&self) -> Result<Vec<String>> {
        let mut outcome = Outcome::default();
        for key in self.index.expired(now_ns())? {
            self.evict_one(key.as_str(), &mut outcome);
        }
        self.tell_evicted(&outcome.gone);
        for (key, error) in &outcome.failed {
            self.watch().failed(error, &format!("removing {key}, which has expired"));
        }
        Ok(outcome.gone)
    }

    /// One cycle: what dead processes left, what has expired, eviction, `.cache_meta`.
    pub(crate) fn cycle(&self) -> Result<Vec<String>> {
        self.recover()?;
        self.empty_trash()?;
        let mut gone = self.expire()?;
        // A policy that fails must not keep the rest from being done.
        let evicted = self.evict(self.options.policy.as_ref());
        let synced = self.sync_meta();
        let counted = self.index.counters().map(|counters| {
            let Counters { size, entries, .. } = counters;
            self.watch().tell(|observer| observer.on_cycle_complete(size, entries));
        });
        let done = evicted.map(|evicted| gone.extend(evicted));
        self.report(gone, done.and(synced).and(counted), "the rest of a cycle")
    }

    /// Removes every entry that is not in use; returns what went.
    pub(crate) fn clear(&self) -> Result<Vec<String>> {
        let mut gone = Vec::new();
        for key in self.index.live_keys()? {
            if self.remove(&key)? == Removal::Done {
                gone.push(key.as_str().to_owned());
            }
        }
        Ok(gone)
    }

    /// What went, if anything did, and otherwise the failure. A caller is to learn both, so the failure waits for the
    /// next call, as it does after a short write; the observer hears of it now.
    fn report(&self, gone: Vec<String>, done: Result<()>, context: &str) -> Result<Vec<String>> {
        match done {
            Err(error) if !gone.is_empty() => {
                self.watch().failed(&error, context);
                Ok(gone)
            }
            done => done.map(|()| gone),
        }
    }
}

impl Goal {
    /// Whether it is worth evicting: where there must be room and there is not enough to be had, nothing goes.
    fn is_met_by(self, overage: u64, candidates: &[EntryInfo]) -> bool {
        self == Self::Threshold
            || candidates.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.size))
                >= overage
    }
}

fn ask(policy: &dyn Policy, candidates: &[EntryInfo], bytes_needed: u64) -> Result<Vec<String>> {
    unwinding(|| policy.victims(candidates, bytes_needed))
}

/// What the policy says, if it does not panic.
fn unwinding<T>(ask: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(ask)).map_err(|_| {
        Error::new(
            ErrorKind::Invalid,
            "the eviction policy panicked: what it had not named before stays",
        )
    })
}
