//! A record as it is kept, and its text: one line of JSON, the same in the index and as an object on the storage.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use larder_storage::{Digest, Error, ErrorKind, Key, Result, crc32c, crc32c_append, time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Id, Input, Provenance, Source, State};

/// The version of the text of a record.
pub const RECORD_FORMAT_VERSION: u32 = 1;

/// A provenance that was checked, with its key.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    pub(crate) provenance: Provenance,
    pub(crate) key: Digest,
}

impl Keyed {
    pub(crate) fn new(provenance: Provenance) -> Result<Self> {
        provenance.check()?;
        Ok(Self { key: provenance.digest(), provenance })
    }
}

/// What a result comes to, of whatever record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) version: u32,
    pub(crate) payload: Digest,
    pub(crate) payload_len: u64,
    pub(crate) summary: String,
    /// How long computing it took in nanoseconds, where that was measured.
    pub(crate) cost_ns: Option<u64>,
    /// For each input that is a record, the payload that this had.
    pub(crate) seen: Vec<Option<Digest>>,
}

impl Content {
    /// Whether both are the same result.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.payload, &self.summary) == (&other.payload, &other.summary)
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: Id,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) state: State,
    /// Nanoseconds since 1970: when the record was made, and when it last got a payload.
    pub(crate) created_at: i64,
    pub(crate) stored_at: i64,
    pub(crate) key: Option<Digest>,
    /// The JSON form.
    pub(crate) provenance: Option<String>,
    pub(crate) content: Content,
    pub(crate) pinned: bool,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) note: Option<String>,
}

impl Row {
    pub(crate) fn new(kind: &'static str, keyed: Option<&Keyed>, content: Content) -> Self {
        let now = time::now_ns();
        Self {
            id: Id::next(),
            kind: Cow::Borrowed(kind),
            state: State::Live,
            created_at: now,
            stored_at: now,
            key: keyed.map(|keyed| keyed.key),
            provenance: keyed.map(|keyed| keyed.provenance.to_json()),
            content,
            pinned: false,
            tags: BTreeSet::new(),
            note: None,
        }
    }

    /// The same record with another content, from now on.
    pub(crate) fn with(&self, content: Content) -> Self {
        Self { state: State::Live, stored_at: time::now_ns(), content, ..self.clone() }
    }

    /// Whether both got their content at once.
    pub(crate) fn has_content_of(&self, other: &Self) -> bool {
        (self.stored_at, &self.content) == (other.stored_at, &other.content)
    }

    pub(crate) fn in_state(&self, state: State) -> Self {
        Self { state, ..self.clone() }
    }

    pub(crate) fn created_at(&self) -> SystemTime {
        time::from_ns(self.created_at)
    }

    pub(crate) fn cost(&self) -> Option<Duration> {
        self.content.cost_ns.map(Duration::from_nanos)
    }

    pub(crate) fn provenance(&self) -> Result<Option<Provenance>> {
        self.provenance.as_deref().map(Provenance::from_json).transpose()
    }

    /// As [`provenance`](Self::provenance), which has to be the one that the key is of.
    pub(crate) fn checked_provenance(&self) -> Result<Option<Provenance>> {
        let provenance = self.provenance()?;
        if provenance.as_ref().map(Provenance::digest) == self.key {
            return Ok(provenance);
        }
        let message = "the provenance is not the one that the key is of";
        Err(Error::new(ErrorKind::Corrupt, message))
    }

    /// What the record was made from.
    pub(crate) fn sources(&self) -> Result<Vec<Source>> {
        let provenance = self.provenance()?;
        let inputs = provenance.as_ref().map_or(&[][..], Provenance::inputs);
        Ok(inputs.iter().map(Input::source).copied().collect())
    }

    /// The records that it was made from, each with the payload that it had.
    pub(crate) fn parents(&self) -> Result<Vec<(Id, Option<Digest>)>> {
        let seen = self.content.seen.iter().copied().chain(std::iter::repeat(None));
        Ok(self
            .sources()?
            .into_iter()
            .zip(seen)
            .filter_map(|(source, seen)| match source {
                Source::Record(id) => Some((id, seen)),
                Source::Content(_) => None,
            })
            .collect())
    }

    /// Where the record lies on a storage.
    pub(crate) fn place(&self) -> Result<Key> {
        match &self.key {
            Some(key) => place_of(&self.kind, key),
            None => place(self.id.as_bytes()),
        }
    }

    /// The text of the record, which ends with its checksum.
    pub(crate) fn to_text(&self) -> Result<String> {
        let mut text = serde_json::to_string(&Form::of(self)?).map_err(unwritable)?;
        let sum = crc32c(text.as_bytes());
        text.pop();
        text.push_str(&end_of(sum));
        Ok(text)
    }

    /// Reads what [`to_text`](Self::to_text) wrote.
    pub(crate) fn from_text(text: &str) -> Result<Self> {
        let damaged = || Error::new(ErrorKind::Corrupt, "the text of the record is damaged");
        if !has_right_checksum(text) {
            return Err(damaged());
        }
        let form: serde_json::Result<Form<'_>> = serde_json::from_str(text);
        let format = match &form {
            Ok(form) => form.format,
            Err(_) => serde_json::from_str(text).map_or(0, |Versioned { format }| format),
        };
        if format > RECORD_FORMAT_VERSION {
            let message = format!(
                "the record has version {format} of its format and this program knows {RECORD_FORMAT_VERSION}: upgrade it"
            );
            return Err(Error::new(ErrorKind::Format, message));
        }
        let form = form.map_err(|error| damaged().with_source(error))?;
        form.into_row().map_err(|error| damaged().with_source(error))
    }
}

fn unwritable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let message = "the summary or the provenance of a record is no JSON";
    Error::new(ErrorKind::Invalid, message).with_source(error)
}

/// Where a record of this provenance lies.
pub(crate) fn place_of(kind: &str, key: &Digest) -> Result<Key> {
    place(&[kind.as_bytes(), &[0], key.as_bytes()].concat())
}

pub(crate) fn place(name: &[u8]) -> Result<Key> {
    let name = Digest::of(name).to_string();
    Key::new(format!("{PLACES}/{}/{name}", &name[..2]))
}

/// The directory that all records lie in.
pub(crate) const PLACES: &str = "records";

/// What stands before the checksum, which ends the text.
const CHECKSUM: &str = ",\"checksum\":\"";

/// How long the end of the text is, from there on.
const END_LEN: usize = CHECKSUM.len() + "01234567\"}".len();

/// Whether the text ends with the checksum of the text without it.
fn has_right_checksum(text: &str) -> bool {
    let at = text.len().checked_sub(END_LEN);
    at.and_then(|at| text.split_at_checked(at))
        .is_some_and(|(before, end)| end == end_of(crc32c_append(crc32c(before.as_bytes()), b"}")))
}

/// The end of a text that has this checksum, in the place of the closing brace.
fn end_of(sum: u32) -> String {
    format!("{CHECKSUM}{sum:08x}\"}}")
}

/// What the text of any version begins with.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// The text of a record; `RawValue` keeps what is JSON already.
#[derive(Serialize, Deserialize)]
struct Form<'a> {
    format: u32,
    id: Id,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    version: u32,
    state: State,
    created_at_ns: i64,
    stored_at_ns: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Digest>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    provenance: Option<&'a RawValue>,
    payload: Digest,
    payload_len: u64,
    #[serde(borrow)]
    summary: &'a RawValue,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<Option<Digest>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pinned: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    tags: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl<'a> Form<'a> {
    fn of(row: &'a Row) -> Result<Self> {
        fn raw(text: &str) -> Result<&RawValue> {
            serde_json::from_str(text).map_err(unwritable)
        }
        let content = &row.content;
        Ok(Self {
            format: RECORD_FORMAT_VERSION,
            id: row.id,
            kind: Cow::Borrowed(&row.kind),
            version: content.version,
            state: row.state,
            created_at_ns: row.created_at,
            stored_at_ns: row.stored_at,
            key: row.key,
            provenance: row.provenance.as_deref().map(raw).transpose()?,
            payload: content.payload,
            payload_len: content.payload_len,
            summary: raw(&content.summary)?,
            cost_ns: content.cost_ns,
            seen: content.seen.clone(),
            pinned: row.pinned,
            tags: row.tags.clone(),
            note: row.note.clone(),
        })
    }

    fn into_row(self) -> Result<Row> {
        // As much as a column of the index holds.
        if i64::try_from(self.payload_len).is_err() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "no payload is as long as this one is said to be",
            ));
        }
        let content = Content {
            version: self.version,
            payload: self.payload,
            payload_len: self.payload_len,
            summary: self.summary.get().to_owned(),
            cost_ns: self.cost_ns,
            seen: self.seen,
        };
        Ok(Row {
            id: self.id,
            kind: Cow::Owned(self.kind.into_owned()),
            state: self.state,
            created_at: self.created_at_ns,
            stored_at: self.stored_at_ns,
            key: self.key,
            provenance: self.provenance.map(|text| text.get().to_owned()),
            content,
            pinned: self.pinned,
            tags: self.tags,
            note: self.note,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let provenance = Provenance::new("op").input(Digest::of(b"x")).param("n", f64::NAN);
        let content = Content {
            version: 1,
            payload: Digest::of(b"payload"),
            payload_len: 7,
            summary: r#"{"label":"r\u00e9gion"}"#.to_owned(),
            cost_ns: Some(u64::MAX),
            seen: vec![None, Some(Digest::of(b"y"))],
        };
        let mut row = Row::new("track", Some(&Keyed::new(provenance).unwrap()), content);
        (row.pinned, row.note) = (true, Some("\"look\"\n".to_owned()));
        row.tags.insert("release 1".to_owned());
        row
    }

    #[test]
    fn a_row_comes_back_from_its_text() {
        let full = row();
        let mut bare = row();
        (bare.key, bare.provenance, bare.note) = (None, None, None);
        bare.content.seen.clear();
        for row in [full, bare] {
            assert_eq!(Row::from_text(&row.to_text().unwrap()).unwrap(), row);
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let text = row().to_text().unwrap();
        let refused = |text: &str| Row::from_text(text).unwrap_err().kind();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert_eq!(refused(&changed), ErrorKind::Corrupt, "bit {bit} of byte {at}");
            }
            assert_eq!(refused(&text[..at]), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn what_is_sound_and_no_record_is_refused() {
        let refused = |from, to| {
            let text = row().to_text().unwrap().replace(from, to);
            let (before, _) = text.rsplit_once(CHECKSUM).unwrap();
            let sum = crc32c_append(crc32c(before.as_bytes()), b"}");
            Row::from_text(&format!("{before}{}", end_of(sum))).unwrap_err().kind()
        };
        assert_eq!(refused("{\"format\":1", "{\"format\":2"), ErrorKind::Format);
        let endless = format!("\"payload_len\":{}", u64::MAX);
        assert_eq!(refused("\"payload_len\":7", &endless), ErrorKind::Corrupt);
    }
}
