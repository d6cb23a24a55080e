use std::collections::{BTreeMap, HashMap};

use crate::{
    Lookup,
    engine::{Change, Found, Value, When, Write},
};

/// Unsaved writes, one for each key.
#[derive(Default)]
pub(crate) struct Pending {
    /// In the order in which they have to be applied.
    log: BTreeMap<u64, (String, Change)>,
    /// Where in the log each key is.
    places: HashMap<String, u64>,
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Change> {
        self.log.get(self.places.get(key)?).map(|(_, change)| change)
    }

    /// What a look at `key` finds where a write of it is not saved.
    pub(crate) fn find(&self, key: &str, now: i64) -> Option<Lookup<Found>> {
        Some(match self.get(key)? {
            Change::Set(value) | Change::SetAnew(value) => match value.expires_at {
                Some(at) if at <= now => Lookup::Expired,
                expires_at => Lookup::Hit(Found { json: value.json.clone(), expires_at }),
            },
            // Those of the second kind never wait.
            Change::Remove | Change::Revalue(_) | Change::Expire(_) => Lookup::Miss,
        })
    }

    /// A key that is set twice keeps its first place; one that was removed or has expired in between goes to the end.
    pub(crate) fn set(&mut self, key: &str, value: Value, now: i64) {
        let is_live = self.find(key, now).is_some_and(|found| found.is_hit());
        match self.change(key) {
            Some(Change::Set(held) | Change::SetAnew(held)) if is_live => *held = value,
            Some(_) => self.push(key, Change::SetAnew(value)),
            None => self.push(key, Change::Set(value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        match self.change(key) {
            Some(change) => *change = Change::Remove,
            None => self.push(key, Change::Remove),
        }
    }

    fn change(&mut self, key: &str) -> Option<&mut Change> {
        self.log.get_mut(self.places.get(key)?).map(|(_, change)| change)
    }

    /// Puts a change at the end, instead of the one that is there.
    fn push(&mut self, key: &str, change: Change) {
        let end = self.log.last_key_value().map_or(0, |(last, _)| last + 1);
        if let Some(before) = self.places.insert(key.to_owned(), end) {
            self.log.remove(&before);
        }
        self.log.insert(end, (key.to_owned(), change));
    }

    /// All of them, in the order in which they have to be done.
    pub(crate) fn writes(&self) -> Vec<Write<'_>> {
        let writes = self.log.values().map(|(key, change)| Write {
            key,
            change: change.clone(),
            when: When::Always,
        });
        writes.collect()
    }

    /// The keys in order as they would be after saving onto `saved`, those that begin with `prefix`.
    pub(crate) fn overlay(&self, saved: Vec<String>, prefix: &str, now: i64) -> Vec<String> {
        let places: HashMap<String, usize> = saved.iter().cloned().zip(0..).collect();
        let mut keys: Vec<Option<String>> = saved.into_iter().map(Some).collect();
        for (key, change) in self.log.values().filter(|(key, _)| key.starts_with(prefix)) {
            let place = places.get(key).copied();
            let is_live = self.find(key, now).is_some_and(|found| found.is_hit());
            match (place, change) {
                (Some(_), Change::Set(_)) if is_live => continue,
                (Some(place), _) => keys[place] = None,
                (None, _) => {}
            }
            if is_live {
                keys.push(Some(key.clone()));
            }
        }
        keys.into_iter().flatten().collect()
    }
}
