//! How entries go.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
};

use larder_storage::{Error, ErrorKind, Key, Result, lock::FileLock, time::now_ns};

use crate::{
    EntryInfo, Policy,
    core::Core,
    index::{Counters, Row},
    removal::{Removal, Why},
};

/// The flight of evictions: one at a time on a root, or two would both free what one has to. No entry has this key.
const EVICTION: &str = "";

/// Builders that need room look at all entries at most so many times while all of them are replaced.
const BATCHES: u64 = 64;

/// How far an eviction goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// The sizes of the entries, but for so many bytes that cannot go, are not above the threshold.
    Threshold { stuck: u64 },
    /// At most `needed` bytes are in use, with what is being built and deleted; if it can be, no more than `wanted`.
    Used { needed: u64, wanted: u64 },
}

const THRESHOLD: Goal = Goal::Threshold { stuck: 0 };

/// What an eviction has done, to be told when its flight is over.
#[derive(Debug, Default)]
struct Outcome {
    gone: Vec<String>,
    failed: Vec<(String, Error)>,
    /// What was tried, whether or not it went.
    tried: HashSet<String>,
}

impl Core {
    /// Evicts while the cache is over its threshold and `policy` names victims; returns what went.
    pub(crate) fn evict(&self, policy: &dyn Policy) -> Result<Vec<String>> {
        let (gone, done) = self.evict_until(policy, THRESHOLD)?;
        self.report(gone, done.map(|_| ()), "evicting more")
    }

    /// Frees bytes for a builder, by deleting what dead processes left and by evicting; whether anything is or was free
    /// that was not before, though others may have taken it meanwhile.
    pub(crate) fn free(&self, bytes: u64) -> Result<bool> {
        let before = self.index.counters()?.used;
        self.recover()?;
        self.empty_trash()?;
        self.wait_for_trash()?;
        if self.index.counters()?.used < before {
            return Ok(true);
        }
        let goal = self.room(before.saturating_sub(bytes))?;
        let (gone, done) = self.evict_until(self.options.policy.as_ref(), goal)?;
        let fell = || self.index.counters().is_ok_and(|now| now.used < before);
        done.map(|is_met| is_met || !gone.is_empty() || fell())
    }

    /// The goal of a builder that needs others to have `needed` bytes at most. Each eviction looks at all entries, so of
    /// many some more go at once than this builder needs.
    fn room(&self, needed: u64) -> Result<Goal> {
        let Counters { entries, size, .. } = self.index.counters()?;
        let spare = if entries < BATCHES { 0 } else { size / BATCHES };
        Ok(Goal::Used { needed, wanted: needed.saturating_sub(spare) })
    }

    /// What an eviction by `policy` would take if it came now, in order; nothing is changed.
    pub(crate) fn would_evict(&self, policy: &dyn Policy) -> Result<Vec<EntryInfo>> {
        self.count_uses()?;
        let mut overage = self.missed(THRESHOLD)?;
        let mut left = self.ranked()?;
        let mut gone = Vec::new();
        while overage > 0 {
            let offered: Vec<EntryInfo> = left.values().cloned().collect();
            let before = left.len();
            for key in ask(policy, &offered, overage)? {
                if overage > 0
                    && let Some(entry) = left.remove(&key)
                    && !self.is_leased(&key)
                {
                    overage = overage.saturating_sub(entry.size);
                    gone.push(entry);
                }
            }
            if left.len() == before {
                break;
            }
        }
        Ok(gone)
    }

    /// What could be evicted now, with the priorities that it would have then.
    fn ranked(&self) -> Result<BTreeMap<String, EntryInfo>> {
        let candidates = self.candidates(THRESHOLD, &HashSet::new())?.into_iter();
        let mut ranked: BTreeMap<_, _> =
            candidates.map(|entry| (entry.key.clone(), entry)).collect();
        for (row, priority) in self.ranks()? {
            if let Some(entry) = ranked.get_mut(&row.key) {
                entry.priority = priority;
            }
        }
        Ok(ranked)
    }

    /// Whether somebody uses the entry; one that cannot be asked about is not evicted either.
    fn is_leased(&self, key: &str) -> bool {
        let Ok(file) = Key::new(key).map(|key| self.lease_file(&key)) else { return true };
        file.exists() && !FileLock::try_exclusive(&file).is_ok_and(|lock| lock.is_some())
    }

    /// What went, and whether the goal was met or why it ended.
    fn evict_until(&self, policy: &dyn Policy, goal: Goal) -> Result<(Vec<String>, Result<bool>)> {
        let mut outcome = Outcome::default();
        let done = {
            let _alone = self.flights.enter(EVICTION)?;
            self.evict_alone(policy, goal, &mut outcome)
        };
        self.tell(&outcome, "evicting");
        Ok((outcome.gone, done))
    }

    fn tell(&self, outcome: &Outcome, what: &str) {
        for key in &outcome.gone {
            self.watch().tell(|observer| observer.on_evict(key));
        }
        for (key, error) in &outcome.failed {
            self.watch().failed(error, &format!("{what} {key}"));
        }
    }

    /// Whether the goal is met.
    fn evict_alone(&self, policy: &dyn Policy, goal: Goal, outcome: &mut Outcome) -> Result<bool> {
        if self.missed(goal)? == 0 {
            return Ok(true);
        }
        if let Err(error) = self.count_uses() {
            // The counts that there are have to do.
            self.watch().failed(&error, "counting accesses before an eviction");
        }
        if let Err(error) = self.rank() {
            if error.kind() != ErrorKind::Full {
                return Err(error);
            }
            // So have the priorities.
            self.watch().failed(&error, "recording priorities before an eviction");
        }
        let goal = self.evict_oversized(goal, outcome)?;
        // Doubled each round, so that a cache of many leased entries is asked about a few times, not once for each.
        let mut factor = 1_u64;
        loop {
            let excess = self.excess(goal)?;
            let candidates = self.candidates(goal, &outcome.tried)?;
            if excess == 0 || !self.can_be_met(goal, &candidates)? {
                return Ok(excess == 0);
            }
            let victims = ask(policy, &candidates, excess.saturating_mul(factor))?;
            let offered: HashMap<&str, f64> =
                candidates.iter().map(|entry| (entry.key.as_str(), entry.priority)).collect();
            let before = outcome.tried.len();
            for key in &victims {
                let Some(priority) = offered.get(key.as_str()) else { continue };
                if self.excess(goal)? == 0 {
                    return Ok(true);
                }
                if outcome.tried.insert(key.clone()) && self.evict_one(key, Why::Evicted, outcome) {
                    self.index.lift_floor(*priority)?;
                }
            }
            if outcome.tried.len() == before {
                return Ok(self.missed(goal)? == 0);
            }
            factor = factor.saturating_mul(2);
        }
    }

    /// Evicts what is larger than all of the cache is to be, as it can become that is written in place or that another
    /// program made: no other goes for it, whether or not it does.
    fn evict_oversized(&self, goal: Goal, outcome: &mut Outcome) -> Result<Goal> {
        let Goal::Threshold { mut stuck } = goal else { return Ok(goal) };
        for row in self.index.above(self.options.evict_above)? {
            outcome.tried.insert(row.key.clone());
            if row.pinned || !self.evict_one(&row.key, Why::Evicted, outcome) {
                stuck = row.size.saturating_add(stuck);
            }
        }
        Ok(Goal::Threshold { stuck })
    }

    /// Whether it is worth evicting: where there must be room and what nobody uses is not enough, nothing goes.
    fn can_be_met(&self, goal: Goal, candidates: &[EntryInfo]) -> Result<bool> {
        let mut missed = self.missed(goal)?;
        if matches!(goal, Goal::Threshold { .. }) {
            return Ok(true);
        }
        for entry in candidates.iter().filter(|entry| !self.is_leased(&entry.key)) {
            missed = missed.saturating_sub(entry.size);
            if missed == 0 {
                break;
            }
        }
        Ok(missed == 0)
    }

    /// By how many bytes the goal is missed.
    fn missed(&self, goal: Goal) -> Result<u64> {
        let Counters { size, used, .. } = self.index.counters()?;
        Ok(match goal {
            Goal::Threshold { stuck } => {
                size.saturating_sub(stuck).saturating_sub(self.options.evict_above)
            }
            Goal::Used { needed, .. } => used.saturating_sub(needed),
        })
    }

    /// How many bytes are to go.
    fn excess(&self, goal: Goal) -> Result<u64> {
        match goal {
            Goal::Threshold { .. } => self.missed(goal),
            Goal::Used { wanted, .. } => Ok(self.index.counters()?.used.saturating_sub(wanted)),
        }
    }

    /// Records what the policy remembers of all that was accessed since the last eviction.
    fn rank(&self) -> Result<()> {
        let ranks = self.ranks()?;
        if ranks.is_empty() {
            return Ok(());
        }
        self.index.rank(ranks.iter().map(|(row, priority)| (row, *priority)))
    }

    /// Asks the policy what to remember of it.
    fn ranks(&self) -> Result<Vec<(Row, f64)>> {
        let rows = self.index.unranked()?;
        let floor = self.index.floor()?;
        let policy = self.options.policy.as_ref();
        let mut ranks = Vec::with_capacity(rows.len());
        for row in rows {
            let info = row.clone().info();
            let priority = unwinding(|| policy.priority(&info, floor))?;
            ranks.push((row, if priority.is_finite() { priority } else { 0.0 }));
        }
        Ok(ranks)
    }

    /// Whether it is gone.
    fn evict_one(&self, key: &str, why: Why, outcome: &mut Outcome) -> bool {
        let removal = Key::new(key).and_then(|key| self.take_out(&key, why));
        let is_gone = match &removal {
            Ok(removal) => *removal == Removal::Done,
            // It may be gone, and that may not last.
            Err(_) => self.index.present(key).is_ok_and(|entry| entry.is_none()),
        };
        outcome.failed.extend(removal.err().map(|error| (key.to_owned(), error)));
        outcome.gone.extend(is_gone.then(|| key.to_owned()));
        is_gone
    }

    /// What may go: nothing pinned, nothing tried before, and not the newest, so that no build is undone at once, but where
    /// room is needed.
    fn candidates(&self, goal: Goal, tried: &HashSet<String>) -> Result<Vec<EntryInfo>> {
        let live = self.index.live()?;
        // What was adopted was not built here, whatever its time says.
        let built = live.iter().filter(|row| row.build_cost_ns.is_some());
        let newest = built.map(|row| row.id).max();
        let newest = newest.filter(|_| matches!(goal, Goal::Threshold { .. }));
        let may_go = |row: &Row| !row.pinned && !tried.contains(&row.key) && newest != Some(row.id);
        Ok(live.into_iter().filter(may_go).map(Row::info).collect())
    }

    /// Removes what has expired and is not in use; returns what went.
    fn expire(&self) -> Result<Vec<String>> {
        let mut outcome = Outcome::default();
        for key in self.index.expired(now_ns())? {
            self.evict_one(key.as_str(), Why::Asked, &mut outcome);
        }
        self.tell(&outcome, "removing what has expired,");
        Ok(outcome.gone)
    }

    /// One cycle: what dead processes left, what has expired, eviction, `.cache_meta`.
    pub(crate) fn cycle(&self) -> Result<Vec<String>> {
        // What fails must not keep the rest from being done.
        let begun = self.recover().and(self.empty_trash());
        let mut gone = Vec::new();
        let expired = self.expire().map(|expired| gone.extend(expired));
        let evicted = self.evict(self.options.policy.as_ref());
        let synced = self.sync_meta().and(self.ballast.take());
        let counted = self.index.counters().map(|counters| {
            let Counters { size, entries, .. } = counters;
            self.watch().tell(|observer| observer.on_cycle_complete(size, entries));
        });
        let evicted = evicted.map(|evicted| gone.extend(evicted));
        let done = begun.and(expired).and(evicted).and(synced).and(counted);
        self.report(gone, done, "the rest of a cycle")
    }

    /// What went, if anything did, and otherwise the failure. A caller is to learn both, so the failure waits for the
    /// next call, as it does after a short write; the observer hears of it now.
    pub(crate) fn report(
        &self,
        gone: Vec<String>,
        done: Result<()>,
        context: &str,
    ) -> Result<Vec<String>> {
        match done {
            Err(error) if !gone.is_empty() => {
                self.watch().failed(&error, context);
                Ok(gone)
            }
            done => done.map(|()| gone),
        }
    }
}

fn ask(policy: &dyn Policy, candidates: &[EntryInfo], bytes_needed: u64) -> Result<Vec<String>> {
    unwinding(|| policy.victims(candidates, bytes_needed))
}

/// What the policy says, if it does not panic.
fn unwinding<T>(ask: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(ask)).map_err(|panic| {
        // Dropping what it panicked with could panic again.
        std::mem::forget(panic);
        Error::new(
            ErrorKind::Invalid,
            "the eviction policy panicked: what it had not named before stays",
        )
    })
}
