use std::io::{self, BufWriter, Write as _};

use larder_storage::{Bytes, Error, Problem, Result};

use super::KvCache;
use crate::{
    Attributes,
    document::{Document, Layout},
    engine::{Change, Value, When, Write},
};

/// What [`KvCache::import`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// The entries that were set.
    pub entries: u64,
    /// The entries that were left out because JSON in Rust cannot hold them, and why.
    pub skipped: Vec<Problem>,
}

impl KvCache {
    /// Sets every entry of a JSON document, such as one of VmaxBuilder's `LookupCache`: in their order, values as they are
    /// written there, all of them or, where it fails, none. An entry that JSON in Rust cannot hold (NaN, half a surrogate
    /// pair) is left out and named.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the document is damaged; `Format` where it is no JSON object; else as [`set`](Self::set).
    pub fn import(&self, document: &[u8]) -> Result<ImportReport> {
        let document = Document::parse(document)?;
        self.save()?;
        let skipped: Vec<Problem> = document.unreadable().collect();
        let writes = document
            .readable()
            .map(|(key, json)| {
                self.check_key(key)?;
                self.check_len(key, json.len())?;
                let json = Bytes::copy_from_slice(json.as_bytes());
                let value = Value { json, ..self.attributed(&Attributes::default()) };
                Ok(Write { key, change: Change::Set(value), when: When::Always })
            })
            .collect::<Result<Vec<_>>>()?;
        self.engine.write(&writes, self.now())?;
        Ok(ImportReport { entries: writes.len() as u64, skipped })
    }

    /// Writes every entry as one JSON document in the layout of VmaxBuilder's `LookupCache`, in their order, values as they
    /// are stored; returns how many there are. What waits for [`save`](Self::save) is saved first.
    ///
    /// # Errors
    ///
    /// `Io` or `Full` where it cannot be written; `Corrupt` where a value is damaged; else those of the database.
    pub fn export(&self, out: &mut dyn io::Write) -> Result<u64> {
        self.save()?;
        let failed = |error| Error::io(error, "cannot write the document");
        let (mut out, mut layout) = (BufWriter::new(out), Layout::default());
        self.engine.entries(self.now(), &mut |key, json| {
            let mut parts = layout.entry(key, json).into_iter();
            parts.try_for_each(|part| out.write_all(part)).map_err(failed)
        })?;
        out.write_all(layout.end()).and_then(|()| out.flush()).map_err(failed)?;
        Ok(layout.entries())
    }
}
