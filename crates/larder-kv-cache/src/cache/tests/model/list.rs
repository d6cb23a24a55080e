//! The list.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::Policy;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    key: Key,
    value: Value,
    /// When it expires.
    end: Option<u64>,
    tags: Vec<&'static str>,
    /// What goes first under a cap has the lowest of these.
    rank: (u64, u64),
}

/// What a cache does; times are in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Whether there is room for times and tags.
    pub(super) is_document: bool,
    pub(super) time_to_live: Option<u64>,
    pub(super) cap: Option<(u64, Policy)>,
    pub(super) now: u64,
    pub(super) entries: Vec<Entry>,
    /// By each value of the cache.
    pub(super) uses: [Uses; 2],
}

/// What was read of which nobody was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    known: BTreeMap<Key, Known>,
    waiting: Vec<Key>,
    since: u64,
}

/// How often a key was read, when at last, and when others were told of it at last.
#[derive(Clone, Debug, Default)]
struct Known {
    count: u64,
    at: u64,
    told: Option<u64>,
    waits: bool,
}

impl Uses {
    /// Whether others are to be told now. Less than a second is long.
    fn count(&mut self, key: Key, now: u64) -> bool {
        let it = self.known.entry(key).or_default();
        (it.count, it.at) = (it.count + 1, now);
        if !it.waits && it.told.is_none_or(|told| told < now) {
            it.waits = true;
            if self.waiting.is_empty() {
                self.since = now;
            }
            self.waiting.push(key);
        }
        !self.waiting.is_empty() && self.since < now
    }

    /// What the key is promoted by, if by anything.
    fn take(&mut self, key: &str) -> Option<(u64, u64)> {
        let it = self.known.get_mut(key).filter(|it| it.count > 0)?;
        Some((std::mem::take(&mut it.count), it.at))
    }
}

type Attributed<'a> = (Key, Value, Option<u64>, &'a [&'static str]);

impl Model {
    pub(super) fn live(&self) -> impl Iterator<Item = (Key, &Value)> {
        self.entries.iter().filter(|it| self.is_live(it)).map(|it| (it.key, &it.value))
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.live().map(|(key, _)| key).collect()
    }

    pub(super) fn get(&self, key: &str) -> Option<Value> {
        self.live().find(|(live, _)| *live == key).map(|(_, value)| value.clone())
    }

    /// Each value of the cache tells of uses when it is closed.
    pub(super) fn reopen(&mut self) {
        for uses in std::mem::take(&mut self.uses) {
            for (key, it) in uses.known.into_iter().filter(|(_, it)| it.count > 0) {
                self.promote(key, (it.count, it.at));
            }
        }
    }

    fn tell(&mut self, by: usize) {
        for key in std::mem::take(&mut self.uses[by].waiting) {
            let used = self.uses[by].take(key);
            if let Some(it) = self.uses[by].known.get_mut(key) {
                (it.told, it.waits) = (Some(self.now), false);
            }
            if let Some(used) = used {
                self.promote(key, used);
            }
        }
    }

    /// What an operation of the value of the cache number `by` does.
    pub(super) fn predict(&mut self, by: usize, op: &Op) -> Result<Answer, ErrorKind> {
        let default = self.time_to_live;
        let plain = |(key, value): &(Key, Value)| (*key, value.clone(), default, &[][..]);
        let done = |()| Answer::Done;
        match op {
            Op::Get(key) => Ok(Answer::Found(vec![self.read(by, key)])),
            Op::GetMany(keys) => {
                Ok(Answer::Found(keys.iter().map(|key| self.read(by, key)).collect()))
            }
            Op::Set(key, value) => self.write(by, &[(key, value.clone(), default, &[])]).map(done),
            Op::SetWith(key, value, seconds, tags) => {
                self.needs_room(seconds.is_some() || !tags.is_empty())?;
                self.write(by, &[(key, value.clone(), seconds.or(default), tags)]).map(done)
            }
            Op::SetMany(items) => {
                self.write(by, &items.iter().map(plain).collect::<Vec<_>>()).map(done)
            }
            Op::Insert(key, value) => {
                let is_absent = self.get(key).is_none();
                let item = is_absent.then(|| (*key, value.clone(), default, &[][..]));
                self.write(by, item.as_slice()).map(|()| Answer::Was(is_absent))
            }
            Op::Update(key) => {
                let value = longer(self.read(by, key));
                let live = self.entries.iter().find(|it| it.key == *key && self.is_live(it));
                let kept = live.map(|it| (it.end, it.tags.clone()));
                self.write(by, &[(key, value.clone(), default, &[])])?;
                let new = self.entries.iter_mut().find(|it| it.key == *key);
                if let (Some(kept), Some(new)) = (kept, new) {
                    (new.end, new.tags) = kept;
                }
                Ok(Answer::Values(vec![value]))
            }
            Op::Touch(key, seconds) => self.touch(key, *seconds).map(Answer::Was),
            Op::Invalidate(key) => Ok(Answer::Was(self.invalidate(by, key))),
            Op::Clear => {
                self.entries.clear();
                self.uses[by] = Uses::default();
                Ok(Answer::Done)
            }
            Op::ClearTag(tag) => {
                self.needs_room(true)?;
                self.entries.retain(|it| !it.tags.contains(tag));
                Ok(Answer::Done)
            }
            Op::Compute(keys) => self.compute(by, keys).map(Answer::Values),
            Op::RoundTrip => {
                let live: Vec<_> = self.live().map(|(key, value)| (key, value.clone())).collect();
                self.entries.clear();
                self.uses[by] = Uses::default();
                self.write(by, &live.iter().map(plain).collect::<Vec<_>>()).map(done)
            }
        }
    }

    fn touch(&mut self, key: &str, seconds: Option<u64>) -> Result<bool, ErrorKind> {
        self.needs_room(true)?;
        let (now, is_there) = (self.now, self.get(key).is_some());
        let entry = self.entries.iter_mut().find(|it| is_there && it.key == key);
        entry.into_iter().for_each(|it| it.end = seconds.map(|time| now + time));
        Ok(is_there)
    }

    fn invalidate(&mut self, by: usize, key: &str) -> bool {
        self.uses[by].known.remove(key);
        let was_there = self.get(key).is_some();
        self.entries.retain(|it| it.key != key);
        was_there
    }

    fn needs_room(&self, is_needed: bool) -> Result<(), ErrorKind> {
        if is_needed && self.is_document { Err(ErrorKind::Unsupported) } else { Ok(()) }
    }

    fn is_live(&self, entry: &Entry) -> bool {
        entry.end.is_none_or(|end| end > self.now)
    }

    pub(super) fn read(&mut self, by: usize, key: Key) -> Option<Value> {
        let value = self.get(key)?;
        if self.uses[by].count(key, self.now) {
            self.tell(by);
        }
        Some(value)
    }

    fn promote(&mut self, key: &str, (count, at): (u64, u64)) {
        let entry = self.entries.iter_mut().find(|it| it.key == key);
        let (Some(Entry { rank: (rank, used_at), .. }), Some((_, policy))) = (entry, self.cap)
        else {
            return;
        };
        match policy {
            Policy::Oldest => return,
            Policy::LeastRecentlyUsed => *rank = (*rank).max(at),
            Policy::LeastFrequentlyUsed => *rank += count,
        }
        // Another value of the cache may have set it since.
        *used_at = (*used_at).max(at);
    }

    /// All of them or none; then what is over the cap goes, but not the last.
    fn write(&mut self, by: usize, items: &[Attributed<'_>]) -> Result<(), ErrorKind> {
        let is_too_large = |(bytes, _)| items.iter().any(|it| size(it.0, &it.1) > bytes);
        if self.cap.is_some_and(is_too_large) {
            return Err(ErrorKind::Full);
        }
        for (key, value, time_to_live, tags) in items {
            self.uses[by].known.remove(key);
            let rank = match self.cap {
                Some((_, Policy::LeastFrequentlyUsed)) => 0,
                _ => self.now,
            };
            let end = time_to_live.map(|time| self.now + time);
            let (value, tags, rank) = (value.clone(), tags.to_vec(), (rank, self.now));
            let new = Entry { key, value, end, tags, rank };
            let place = self.entries.iter().position(|it| it.key == *key);
            match place {
                Some(place) if self.is_live(&self.entries[place]) => self.entries[place] = new,
                _ => {
                    self.entries.retain(|it| it.key != *key);
                    self.entries.push(new);
                }
            }
        }
        if let Some((newest, ..)) = items.last() {
            self.evict(by, newest);
        }
        Ok(())
    }

    /// Of other values of the cache the uses are not known.
    fn evict(&mut self, by: usize, newest: &str) {
        let Some((cap, _)) = self.cap else { return };
        while self.live().map(|(key, value)| size(key, value)).sum::<u64>() > cap {
            let others = self.entries.iter().filter(|it| self.is_live(it) && it.key != newest);
            let victim = others.min_by_key(|it| it.rank).expect("one entry fits").key;
            match self.uses[by].take(victim) {
                Some(used) => self.promote(victim, used),
                None => {
                    self.uses[by].known.remove(victim);
                    self.entries.retain(|it| it.key != victim);
                }
            }
        }
    }

    /// As often as what is found is evicted by what is computed.
    fn compute(&mut self, by: usize, keys: &[Key]) -> Result<Vec<Value>, ErrorKind> {
        let mut here = BTreeSet::new();
        loop {
            let found: Vec<_> = keys.iter().map(|key| self.read(by, key)).collect();
            let absent = |(key, found): (&Key, &Option<Value>)| {
                (found.is_none() && !here.contains(key)).then_some(*key)
            };
            let missing: BTreeSet<Key> = keys.iter().zip(&found).filter_map(absent).collect();
            if missing.is_empty() {
                let values = keys.iter().zip(found);
                return Ok(values.map(|(key, it)| it.unwrap_or_else(|| computed(key))).collect());
            }
            let items: Vec<_> = missing
                .iter()
                .map(|key| (*key, computed(key), self.time_to_live, &[][..]))
                .collect();
            self.write(by, &items)?;
            here.extend(missing);
        }
    }
}

/// What an entry counts for under a cap.
fn size(key: &str, value: &Value) -> u64 {
    (key.len() + serde_json::to_vec(value).unwrap().len()) as u64
}
