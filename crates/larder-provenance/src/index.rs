//! Where the records are: all that is known of each result but its content.

use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use larder_storage::{Digest, Error, ErrorKind, Result, crc32c_append, time};

use crate::{Id, Provenance};

mod memory;
mod sqlite;

pub(crate) use memory::MemoryIndex;
pub(crate) use sqlite::SqliteIndex;
pub use sqlite::{APPLICATION_ID, FORMAT_VERSION, repair};

/// A change to an index runs such work while no other change can, in any process.
pub(crate) type Exclusively<'a> = &'a dyn Fn() -> Result<()>;

/// The records of one store.
pub(crate) trait Index: Send + Sync + fmt::Debug {
    fn by_id(&self, id: Id) -> Result<Option<Arc<Row>>>;

    fn by_provenance(&self, kind: &'static str, key: &Digest) -> Result<Option<Arc<Row>>>;

    /// Adds the record, unless its provenance has one: then that one is returned, and gets the new payload if it still
    /// has the payload `broken`. Where the row takes the payload, `ensure` makes sure that the payload is there.
    fn insert(
        &self,
        draft: &Draft,
        broken: Option<&Digest>,
        ensure: Exclusively<'_>,
    ) -> Result<Arc<Row>>;

    /// Removes the record; whether there was one, and its payload, where that can be told.
    fn delete(&self, id: Id) -> Result<(bool, Option<Digest>)>;

    /// Runs `reap` if no record has this payload.
    fn if_unused(&self, payload: &Digest, reap: Exclusively<'_>) -> Result<()>;

    /// Up to `limit` records after the id `after`, which is empty for the first page, of one kind or of all.
    fn page(&self, kind: Option<&'static str>, after: &[u8], limit: usize) -> Result<Page>;

    fn len(&self, kind: &str) -> Result<u64>;

    fn totals(&self) -> Result<Totals>;

    /// What is wrong with the structure of the index, so that nothing in it can be relied on.
    fn damage(&self) -> Result<Option<String>>;

    /// What is wrong between sound records.
    fn faults(&self) -> Result<Vec<String>>;
}

/// Records in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Result<Arc<Row>, Damaged>>,
    /// The id of the last one, as it is kept.
    pub(crate) last: Vec<u8>,
}

/// A record that is not as it was written.
#[derive(Debug)]
pub(crate) struct Damaged {
    /// Its id.
    pub(crate) place: String,
    pub(crate) error: Error,
}

impl Damaged {
    fn new(id: &[u8]) -> Self {
        let place = match id.try_into() {
            Ok(id) => Id::from_bytes(id).to_string(),
            Err(_) => id.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let message = format!(
            "record {place} is damaged: restore the database, or delete it and compute it anew"
        );
        Self { place, error: Error::new(ErrorKind::Corrupt, message) }
    }
}

/// Sums over an index.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// How many records there are of each kind.
    pub(crate) kinds: Vec<(String, u64)>,
    /// How many different payloads there are.
    pub(crate) payloads: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// A record that has no id yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) kind: &'static str,
    pub(crate) version: u32,
    pub(crate) provenance: Option<Keyed>,
    pub(crate) payload: Digest,
    pub(crate) payload_len: u64,
    pub(crate) summary: String,
    pub(crate) cost: Option<Duration>,
}

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

/// A record as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: Id,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) version: u32,
    /// Nanoseconds since 1970.
    pub(crate) created_at: i64,
    pub(crate) key: Option<Digest>,
    /// The JSON form.
    pub(crate) provenance: Option<String>,
    pub(crate) payload: Digest,
    pub(crate) payload_len: u64,
    pub(crate) summary: String,
    pub(crate) checksum: u32,
}

impl Row {
    /// The first row of a draft.
    fn new(draft: &Draft) -> Self {
        let mut row = Self {
            id: Id::next(),
            kind: Cow::Borrowed(draft.kind),
            version: draft.version,
            created_at: time::now_ns(),
            key: draft.provenance.as_ref().map(|keyed| keyed.key),
            provenance: draft.provenance.as_ref().map(|keyed| keyed.provenance.to_json()),
            payload: draft.payload,
            payload_len: draft.payload_len,
            summary: draft.summary.clone(),
            checksum: 0,
        };
        row.checksum = row.sum();
        row
    }

    /// The same record with the payload of the draft.
    fn with_payload(&self, draft: &Draft) -> Self {
        let mut row = self.clone();
        (row.version, row.payload, row.payload_len) =
            (draft.version, draft.payload, draft.payload_len);
        row.summary.clone_from(&draft.summary);
        row.checksum = row.sum();
        row
    }

    /// What an insertion of the draft comes to where its provenance has the record `existing`.
    fn plan(draft: &Draft, existing: Option<Arc<Self>>, broken: Option<&Digest>) -> Plan {
        match existing {
            None => Plan::Insert(Self::new(draft)),
            Some(row) if Some(&row.payload) == broken => Plan::Replace(row.with_payload(draft)),
            Some(row) => Plan::Keep(row),
        }
    }

    /// CRC-32C over everything that makes the record, each text after its length.
    fn sum(&self) -> u32 {
        let provenance = self.provenance.as_deref().unwrap_or("");
        let key = self.key.as_ref().map_or(&[][..], |key| key.as_bytes());
        let texts = [self.kind.as_bytes(), key, provenance.as_bytes(), self.summary.as_bytes()];
        let fixed: [&[u8]; 5] = [
            self.id.as_bytes(),
            &self.version.to_le_bytes(),
            &self.created_at.to_le_bytes(),
            self.payload.as_bytes(),
            &self.payload_len.to_le_bytes(),
        ];
        let sum = fixed.iter().fold(0, |sum, part| crc32c_append(sum, part));
        texts.iter().fold(sum, |sum, text| {
            crc32c_append(crc32c_append(sum, &(text.len() as u64).to_le_bytes()), text)
        })
    }

    /// Whether the record is as it was written.
    fn is_sound(&self) -> bool {
        self.sum() == self.checksum
    }

    pub(crate) fn created_at(&self) -> SystemTime {
        time::from_ns(self.created_at)
    }

    pub(crate) fn provenance(&self) -> Result<Option<Provenance>> {
        self.provenance.as_deref().map(Provenance::from_json).transpose()
    }
}

/// What an insertion comes to.
enum Plan {
    Insert(Row),
    Replace(Row),
    Keep(Arc<Row>),
}
