//! A lookup cache as one JSON object in one text, the form in which Python's `json.dump(cache, file, indent=2)` writes
//! a `dict`.
//!
//! Values are kept as they are spelled and in their order, so that what is not touched is written again as it was
//! read: NaN and the infinities, integers of any length and halves of surrogate pairs, too, which Python writes and
//! serde_json does not read. Such an entry is [named](Document::unreadable), and the others stay usable.

use std::{
    collections::{HashMap, hash_map::Entry as Place},
    mem, str,
    sync::Arc,
};

use larder_storage::{Error, ErrorKind, Problem, Result};

use damage::Damage;
pub(crate) use layout::Layout;
use scan::Trouble;
use text::Text;

mod damage;
mod layout;
mod scan;
mod text;

/// An ordered map of keys to the text of their values. Looking up, setting and removing take the same short time for
/// any number of entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    /// The entries in their order, with gaps where some were removed.
    slots: Vec<Option<Slot>>,
    /// Where each key is that can be asked for.
    places: HashMap<Text, usize>,
    /// The number of slots without the gaps.
    len: usize,
}

#[derive(Clone, Debug)]
struct Slot {
    key: Key,
    value: Value,
}

#[derive(Clone, Debug)]
struct Key {
    /// The JSON string, quotes included.
    spelling: Text,
    /// What it stands for. A half of a surrogate pair stands for nothing that a Rust string could hold.
    name: Option<Text>,
}

#[derive(Clone, Debug)]
struct Value {
    json: Text,
    trouble: Option<Trouble>,
}

impl Document {
    /// Reads a document. Of several values for one key the last one counts, in the place of the first, as in Python.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it is no JSON text in UTF-8, with the place of the damage; `Format` where it is JSON, but no
    /// object.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let no_text = |error: str::Utf8Error| Damage::new(error.valid_up_to(), "UTF-8 text");
        let scanned = str::from_utf8(bytes)
            .map_err(no_text)
            .and_then(|text| Ok((text, scan::document(text)?)))
            .map_err(|damage| damage.in_document(bytes))?;
        let (text, Some(entries)) = scanned else {
            let message = "the document is no JSON object, as a lookup cache is: name another file";
            return Err(Error::new(ErrorKind::Format, message));
        };
        let source = Arc::from(text);
        let mut document = Self {
            slots: Vec::with_capacity(entries.len()),
            places: HashMap::with_capacity(entries.len()),
            len: 0,
        };
        for entry in entries {
            let key = Key::spelled(Text::part(&source, entry.key));
            let json = Text::part(&source, entry.value);
            document.put(Slot { key, value: Value { json, trouble: entry.trouble } });
        }
        Ok(document)
    }

    /// The document's text in the layout of Python's `indent=2`: an entry on a line of its own, no line end at the
    /// end. Values stay as they are, their own lines included.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut layout = Layout::default();
        let mut bytes = Vec::new();
        for (key, json) in self.spelled() {
            let parts = layout.entry(key.as_bytes(), json.as_bytes());
            parts.into_iter().for_each(|part| bytes.extend_from_slice(part));
        }
        bytes.extend_from_slice(layout.end());
        bytes
    }

    /// The number of entries, those that cannot be read included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The JSON text under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let slot = self.slots[*self.places.get(key)?].as_ref()?;
        Some(&slot.value.json)
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// Every entry in its order as it is spelled: the key as a JSON string, and the text of the value.
    pub(crate) fn spelled(&self) -> impl Iterator<Item = (&str, &str)> {
        self.live().map(|slot| (&*slot.key.spelling, &*slot.value.json))
    }

    /// The keys and the JSON texts under them in their order, without the keys that are no text.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.live().filter_map(Slot::named)
    }

    /// As [`entries`](Self::entries), without the values that JSON in Rust cannot hold.
    pub(crate) fn readable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.live().filter(|slot| slot.value.trouble.is_none()).filter_map(Slot::named)
    }

    /// The keys in their order, without those that are no text.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().map(|(key, _)| key)
    }

    /// The entries whose key is no text, so that nobody can ask for them, and those whose value is no
    /// `serde_json::Value`. A large integer is one, though only `i128` and `u128` hold it unrounded.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = Problem> {
        self.live().filter_map(Slot::problem)
    }

    /// Puts the text `json` under `key`. A key that is there keeps its place.
    ///
    /// # Errors
    ///
    /// `Invalid` where `json` is not the text of one value, without white space around it; nothing is changed then.
    pub(crate) fn set(&mut self, key: &str, json: &str) -> Result<()> {
        let key = Key::spelled(serde_json::Value::from(key).to_string().into());
        let trouble = scan::value(json).map_err(|damage| {
            let message = format!("the value for key {} is no JSON text", key.shown());
            Error::new(ErrorKind::Invalid, message).with_source(damage.in_value(json))
        })?;
        self.put(Slot { key, value: Value { json: json.into(), trouble } });
        Ok(())
    }

    /// Removes an entry, and tells whether there was one.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let Some(place) = self.places.remove(key) else {
            return false;
        };
        self.slots[place] = None;
        self.len -= 1;
        // Never more gaps than entries: each move of an entry is paid for by a removal.
        if self.slots.len() > 2 * self.len {
            self.close_gaps();
        }
        true
    }

    /// Removes every entry, those that cannot be read included.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn live(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().flatten()
    }

    /// Adds an entry at the end, or its value in the place of its key.
    fn put(&mut self, slot: Slot) {
        if let Some(name) = &slot.key.name {
            match self.places.entry(name.clone()) {
                Place::Vacant(place) => {
                    place.insert(self.slots.len());
                }
                Place::Occupied(place) => {
                    if let Some(held) = &mut self.slots[*place.get()] {
                        held.value = slot.value;
                    }
                    return;
                }
            }
        }
        self.slots.push(Some(slot));
        self.len += 1;
    }

    fn close_gaps(&mut self) {
        let gapped = mem::take(self);
        gapped.slots.into_iter().flatten().for_each(|slot| self.put(slot));
    }
}

impl Slot {
    /// The key and the JSON text.
    fn named(&self) -> Option<(&str, &str)> {
        Some((self.key.name.as_ref()?, &self.value.json))
    }

    fn problem(&self) -> Option<Problem> {
        let what = match (&self.key.name, self.value.trouble) {
            (None, _) => format!("the key {}: rename it in the document", Trouble::Surrogate),
            (_, Some(trouble)) => format!("the value {trouble}: set it again or invalidate it"),
            (Some(_), None) => return None,
        };
        Some(Problem::new(self.key.shown(), what))
    }
}

impl Key {
    /// `spelling` is a sound JSON string, so only a half of a surrogate pair can keep it from being read.
    fn spelled(spelling: Text) -> Self {
        let name = if spelling.contains('\\') {
            serde_json::from_str::<String>(&spelling).ok().map(Text::from)
        } else {
            Some(spelling.within(1..spelling.len() - 1))
        };
        Self { spelling, name }
    }

    /// The spelling, shortened and on one line.
    fn shown(&self) -> String {
        let mut chars = self.spelling.chars();
        let mut shown = String::new();
        for c in chars.by_ref().take(80) {
            if c.is_control() { shown.extend(c.escape_unicode()) } else { shown.push(c) }
        }
        if chars.next().is_some() {
            shown.push('…');
        }
        shown
    }
}

#[cfg(test)]
mod tests;
