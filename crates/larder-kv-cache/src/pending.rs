use std::collections::{BTreeMap, HashMap};

/// A write that is not saved yet.
pub(crate) enum Change {
    /// The JSON text to store. A key that is there keeps its place.
    Set(Vec<u8>),
    Remove,
    /// Both: the key begins anew, at the end.
    SetAnew(Vec<u8>),
}

impl Change {
    /// The value that the key has after the change.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Set(json) | Self::SetAnew(json) => Some(json),
            Self::Remove => None,
        }
    }
}

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

    /// A key that is set twice keeps its first place; one that was removed in between goes to the end.
    pub(crate) fn set(&mut self, key: &str, json: Vec<u8>) {
        match self.change(key) {
            Some(Change::Set(held) | Change::SetAnew(held)) => *held = json,
            Some(Change::Remove) => self.push(key, Change::SetAnew(json)),
            None => self.push(key, Change::Set(json)),
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

    pub(crate) fn changes(&self) -> impl Iterator<Item = (&str, &Change)> {
        self.log.values().map(|(key, change)| (key.as_str(), change))
    }

    /// The keys in order as they would be after saving onto `saved`.
    pub(crate) fn overlay(&self, saved: Vec<String>) -> Vec<String> {
        let places: HashMap<String, usize> = saved.iter().cloned().zip(0..).collect();
        let mut keys: Vec<Option<String>> = saved.into_iter().map(Some).collect();
        for (key, change) in self.changes() {
            let place = places.get(key).copied();
            if let (Some(place), Change::Remove | Change::SetAnew(_)) = (place, change) {
                keys[place] = None;
            }
            match change {
                Change::SetAnew(_) => keys.push(Some(key.to_owned())),
                Change::Set(_) if place.is_none() => keys.push(Some(key.to_owned())),
                Change::Set(_) | Change::Remove => {}
            }
        }
        keys.into_iter().flatten().collect()
    }
}
