use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    fmt::Display,
};

use larder_storage::{Digest, Error, ErrorKind, Problem, Result};
use serde::Serialize;

use crate::{
    backend::Backend,
    blobs::{Blobs, Found},
    row::Row,
};

/// The figures of a store, over the records of all kinds that share its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Whether the store outlives the process.
    pub durable: bool,
    /// How many records have a payload.
    pub records: u64,
    /// How many have none: they were collected or invalidated, and are kept for the lineage of others.
    pub without_payload: u64,
    /// How many with a payload there are of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// How many different payloads the records have.
    pub payloads: u64,
    /// The bytes of these payloads.
    pub payload_bytes: u64,
}

/// What a check of everything found, over the records of all kinds that share a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// How many records were checked.
    pub records: u64,
    /// How many different payloads were checked.
    pub payloads: u64,
    /// Their bytes, as the records say.
    pub payload_bytes: u64,
    /// How many payloads no sound record has. A writer that is killed or fails leaves such; they are harmless.
    pub unused_payloads: u64,
    /// The bytes of these.
    pub unused_bytes: u64,
    /// What is wrong; nothing, if all is well. The place is the id of a record, the key of an object that is none, or
    /// `database`.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

pub(crate) fn verify(backend: &Backend) -> Result<VerifyReport> {
    let (index, blobs) = (&backend.index, &backend.blobs);
    let mut report = VerifyReport::default();
    if let Some(what) = index.damage()? {
        report.problems.push(Problem::new("database", what));
        return Ok(report);
    }
    report.problems.extend(index.faults()?.iter().map(|what| Problem::new("database", what)));
    let used = check_records(backend, &mut report)?;
    check_unknown(backend, &mut report)?;
    for blob in blobs.list()? {
        let (digest, entry) = blob?;
        if !used.contains_key(&digest) {
            report.unused_payloads += 1;
            report.unused_bytes += entry.len;
        }
    }
    Ok(report)
}

/// Checks all records with their payloads, each payload once; what is wrong with each payload, if anything.
fn check_records(
    backend: &Backend,
    report: &mut VerifyReport,
) -> Result<HashMap<Digest, Option<String>>> {
    let mut seen: HashMap<Digest, Option<String>> = HashMap::new();
    for row in backend.rows() {
        report.records += 1;
        let row = match row {
            Ok(row) => row,
            Err(damaged) => {
                report.problems.push(damaged.problem()?);
                continue;
            }
        };
        report.problems.extend(check_published(backend, &row)?);
        let unsound = row.checked_provenance().err();
        let mut found = Vec::from_iter(unsound.map(|error| error.chain().to_string()));
        if row.state.has_payload() {
            found.extend(match seen.entry(row.content.payload) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(new) => {
                    report.payloads += 1;
                    report.payload_bytes =
                        report.payload_bytes.saturating_add(row.content.payload_len);
                    new.insert(check_payload(&backend.blobs, &row)?).clone()
                }
            });
        }
        report.problems.extend(found.into_iter().map(|what| Problem::new(row.id, what)));
    }
    Ok(seen)
}

/// What to tell of something that is damaged or of a newer version; another error as it is.
pub(crate) fn damage(place: impl Display, error: Error) -> Result<Problem> {
    match error.kind() {
        ErrorKind::Corrupt | ErrorKind::Format => Ok(Problem::new(place, error.chain())),
        _ => Err(error),
    }
}

/// Tells of records on the storage that are damaged and that the index does not have.
fn check_unknown(backend: &Backend, report: &mut VerifyReport) -> Result<()> {
    let Some(published) = &backend.published else { return Ok(()) };
    for place in backend.unknown()? {
        if let Err(error) = published.load(&place) {
            report.problems.push(damage(&place, error)?);
        }
    }
    Ok(())
}

/// Whether the storage has the record as the index has it. Where it has not, both are looked at again while nobody changes
/// the record.
fn check_published(backend: &Backend, row: &Row) -> Result<Option<Problem>> {
    let Some(published) = &backend.published else { return Ok(None) };
    let place = row.place()?;
    if let Ok(Some(found)) = published.load(&place)
        && backend.agrees(row, &found)?
    {
        return Ok(None);
    }
    let is_read_only = backend.index.is_read_only();
    let _turn = if is_read_only { None } else { Some(backend.turn(&place)?) };
    let (now, is_behind) =
        backend.index.read(|view| Ok((view.by_id(row.id)?, view.is_behind(row.id)?)))?;
    let Some(now) = now else { return Ok(None) };
    let what = match published.load(&place) {
        _ if is_behind => {
            "the record has still to be written to the storage: `refresh` does so".to_owned()
        }
        Ok(Some(found)) if backend.agrees(&now, &found)? => return Ok(None),
        Ok(Some(_)) => "the record on the storage is another one: `refresh` takes it up".to_owned(),
        Ok(None) => "the record is gone from the storage: `refresh` removes it here too".to_owned(),
        Err(error) => return damage(row.id, error).map(Some),
    };
    Ok(Some(Problem::new(row.id, what)))
}

fn check_payload(blobs: &Blobs, row: &Row) -> Result<Option<String>> {
    let key = Blobs::key(&row.content.payload)?;
    Ok(match blobs.find(&row.content.payload)? {
        Found::Intact(bytes) if bytes.len() as u64 == row.content.payload_len => None,
        Found::Intact(_) => {
            Some(format!("{key}: the payload has another length than its record says"))
        }
        Found::Damaged(_) => Some(format!("{key}: the payload is damaged")),
        Found::Missing => Some(format!("{key}: the payload is missing")),
    })
}
