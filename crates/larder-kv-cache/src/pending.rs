use std::collections::HashMap;

/// A write that is not saved yet.
pub(crate) enum Change {
    /// The JSON text to store.
    Set(Vec<u8>),
    Remove,
}

impl Change {
    /// The value that the key has after the change.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Set(json) => Some(json),
            Self::Remove => None,
        }
    }
}

/// Unsaved writes, in the order in which they have to be applied.
#[derive(Default)]
pub(crate) struct Pending {
    log: Vec<(String, Change)>,
    /// Where in the log the last change of each key is.
    last: HashMap<String, usize>,
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Change> {
        self.last.get(key).map(|&at| &self.log[at].1)
    }

    /// A key that is set twice keeps its first place; one that was removed in between goes to the end.
    pub(crate) fn set(&mut self, key: &str, json: Vec<u8>) {
        match self.last.get(key) {
            Some(&at) if self.log[at].1.value().is_some() => self.log[at].1 = Change::Set(json),
            _ => self.push(key, Change::Set(json)),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        match self.last.get(key) {
            Some(&at) => self.log[at].1 = Change::Remove,
            None => self.push(key, Change::Remove),
        }
    }

    fn push(&mut self, key: &str, change: Change) {
        self.last.insert(key.to_owned(), self.log.len());
        self.log.push((key.to_owned(), change));
    }

    pub(crate) fn changes(&self) -> impl Iterator<Item = (&str, &Change)> {
        self.log.iter().map(|(key, change)| (key.as_str(), change))
    }

    /// The keys in order as they would be after saving onto `saved`.
    pub(crate) fn overlay(&self, saved: Vec<String>) -> Vec<String> {
        let mut places: HashMap<String, usize> = saved.iter().cloned().zip(0..).collect();
        let mut keys: Vec<Option<String>> = saved.into_iter().map(Some).collect();
        for (key, change) in self.changes() {
            match (change, places.get(key)) {
                (Change::Set(_), None) => {
                    places.insert(key.to_owned(), keys.len());
                    keys.push(Some(key.to_owned()));
                }
                (Change::Remove, Some(&place)) => {
                    places.remove(key);
                    keys[place] = None;
                }
                _ => {}
            }
        }
        keys.into_iter().flatten().collect()
    }
}
