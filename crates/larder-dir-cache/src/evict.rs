//! How entries go.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use larder_storage::{Error, ErrorKind, Key, Result, lock::FileLock};

use crate::{
    EntryInfo, Policy,
    core::Core,
    index::{Counters, Row},
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
        if self.index.find(key.as_str())?.is_none() {
            return Ok(Removal::Absent);
        }
        let Some(lock) = FileLock::try_exclusive(&self.lease_file(key))? else {
            return Ok(Removal::Leased);
        };
        self.settle_held(key)?;
        let removal = if self.index.begin_removal(key.as_str())? {
            self.take_away(key, &self.path(key)?)?;
            Removal::Done
        } else {
            Removal::Absent
        };
        lock.remove()?;
        Ok(removal)
    }

    /// Evicts while the cache is over its limit and `policy` names victims; returns what went.
    pub(crate) fn evict(&self, policy: &dyn Policy) -> Result<Vec<String>> {
        let mut outcome = Outcome::default();
        let done = {
            let _alone = self.flights.enter(EVICTION)?;
            self.evict_alone(policy, &mut outcome)
        };
        for key in &outcome.gone {
            self.watch().tell(|observer| observer.on_evict(key));
        }
        for (key, error) in &outcome.failed {
            self.watch().failed(error, &format!("evicting {key}"));
        }
        self.report(outcome.gone, done, "evicting more")
    }

    fn evict_alone(&self, policy: &dyn Policy, outcome: &mut Outcome) -> Result<()> {
        self.settle_releases()?;
        // Doubled each round, so that a cache of many leased entries is asked about a few times, not once for each.
        let mut factor = 1_u64;
        loop {
            let overage = self.snapshot()?.overage;
            if overage == 0 {
                return Ok(());
            }
            let candidates = self.candidates(&outcome.tried)?;
            let victims = ask(policy, &candidates, overage.saturating_mul(factor))?;
            let offered: HashSet<&str> =
                candidates.iter().map(|entry| entry.key.as_str()).collect();
            let before = outcome.tried.len();
            for key in victims.iter().filter(|key| offered.contains(key.as_str())) {
                if self.snapshot()?.overage == 0 {
                    return Ok(());
                }
                if outcome.tried.insert(key.clone()) {
                    self.evict_one(key, outcome);
                }
            }
            if outcome.tried.len() == before {
                return Ok(());
            }
            factor = factor.saturating_mul(2);
        }
    }

    fn evict_one(&self, key: &str, outcome: &mut Outcome) {
        match Key::new(key).and_then(|key| self.remove(&key)) {
            Ok(Removal::Done) => outcome.gone.push(key.to_owned()),
            Ok(Removal::Absent | Removal::Leased) => {}
            Err(error) => outcome.failed.push((key.to_owned(), error)),
        }
    }

    /// What may go: not the newest, so that no build is undone at once, nothing pinned, and nothing tried before.
    fn candidates(&self, tried: &HashSet<String>) -> Result<Vec<EntryInfo>> {
        let live = self.index.live()?;
        let newest = live.iter().map(|row| (row.built_at_ns, row.key.clone())).max();
        let may_go = |row: &Row| {
            !row.pinned
                && !tried.contains(&row.key)
                && newest.as_ref().is_some_and(|(_, newest)| row.key != *newest)
        };
        Ok(live.into_iter().filter(may_go).map(Row::info).collect())
    }

    /// One cycle: what dead processes left, eviction, `.cache_meta`.
    pub(crate) fn cycle(&self) -> Result<Vec<String>> {
        self.recover()?;
        // A policy that fails must not keep the rest from being done.
        let gone = self.evict(self.options.policy.as_ref());
        let synced = self.sync_meta();
        let counted = self.index.counters().map(|counters| {
            let Counters { size, entries } = counters;
            self.watch().tell(|observer| observer.on_cycle_complete(size, entries));
        });
        gone.and_then(|gone| self.report(gone, synced.and(counted), "the rest of a cycle"))
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

fn ask(policy: &dyn Policy, candidates: &[EntryInfo], bytes_needed: u64) -> Result<Vec<String>> {
    let answer = catch_unwind(AssertUnwindSafe(|| policy.victims(candidates, bytes_needed)));
    answer.map_err(|_| {
        Error::new(
            ErrorKind::Invalid,
            "the eviction policy panicked: what it had not named before stays",
        )
    })
}
