//! `larder provenance`: what can be done with results and with what is known of them.

use std::path::{Path, PathBuf};

use larder::{
    layout,
    provenance::{self, Id, LineageRecord, Options, Provenance, ProvenanceStore, Record},
    storage::{Error, ErrorKind, Result},
};

use super::look::{self, Store};
use crate::{
    args::{Look, OneRecord, Records, RecordsDir},
    output,
};

mod explain;
mod graph;
mod list;
mod name;
mod show;
mod tend;
mod tree;

/// What helps where records, results or the index are not as they should be.
const HELP: &str = "`larder provenance reindex` reads the records anew, `larder provenance repair` moves what is damaged \
                    aside, and a result that is computed again takes the place of a damaged one";

/// A store through which records of all kinds are looked at.
type AnyStore = ProvenanceStore<Vec<u8>>;

/// Does what was asked. `root` is not asked for where a directory is named.
///
/// # Errors
/// `NotFound` where the store or a record is not there; else those of the store.
pub(super) fn run(root: &dyn Fn() -> Result<PathBuf>, what: Records, json: bool) -> Result<()> {
    let open = |store: RecordsDir| open(&existing(root, store)?);
    let one = |OneRecord { store, id }| {
        let store = open(store)?;
        let id = name::find(&store, &id)?;
        Ok::<_, Error>((store, id))
    };
    let look =
        |store, what| look::run_in(&existing(root, store)?, Store::Provenance, what, HELP, json);
    match what {
        Records::Ls { store, kind, tag, all } => {
            let dir = existing(root, store)?;
            let only = list::Only { kind, tag, all };
            look::conclude(list::run(&self::open(&dir)?, &only, json)?, &dir, HELP)
        }
        Records::Show { record, payload: true } => show::payload(one(record)?),
        Records::Show { record, payload: false } => show::run(one(record)?, json),
        Records::Lineage(mut what) => {
            let (id, dir) = (what.record.id.clone(), what.record.store.dir.take());
            let record = one(OneRecord { store: RecordsDir { dir }, id })?;
            graph::lineage(record, &what, json)
        }
        Records::WhyMiss(mut what) => {
            let store = open(RecordsDir { dir: what.store.dir.take() })?;
            explain::run(&store, &what, json)
        }
        Records::Invalidate { record, dry_run } => tend::invalidate(one(record)?, dry_run, json),
        Records::Gc { store, max_bytes, max_age, dry_run } => {
            tend::gc(&open(store)?, max_bytes, max_age, dry_run, json)
        }
        Records::Pin(record) => tend::pin(one(record)?, true, json),
        Records::Unpin(record) => tend::pin(one(record)?, false, json),
        Records::Tag { record, name } => tend::tag(one(record)?, name, json),
        Records::Untag { record, name } => tend::untag(one(record)?, &name, json),
        Records::Note { record, text } => tend::note(one(record)?, &text, json),
        Records::Export { store, ids, output, format } => {
            graph::export(&open(store)?, &ids, &output, format, json)
        }
        Records::Merge { store, from } => {
            let dir = existing(root, store)?;
            tend::merge(&self::open(&dir)?, &self::open(&there(from)?)?, &dir, json)
        }
        Records::Status { store } => look(store, Look::Status),
        Records::Verify { store } => look(store, Look::Verify),
        Records::Repair { store } => look(store, Look::Repair),
        Records::Refresh { store } => {
            let dir = existing(root, store)?;
            tend::taken_up(&self::open(&dir)?.refresh()?, &dir, json)
        }
        Records::Reindex { store } => {
            let dir = existing(root, store)?;
            tend::taken_up(&self::open(&dir)?.reindex()?, &dir, json)
        }
    }
}

fn open(dir: &Path) -> Result<AnyStore> {
    ProvenanceStore::open(dir, Options::default())
}

/// The directory of the store that is there; one that was mistyped is not made.
fn existing(root: &dyn Fn() -> Result<PathBuf>, store: RecordsDir) -> Result<PathBuf> {
    if let Some(dir) = store.dir {
        return there(dir);
    }
    let root = root()?;
    look::check_root(&root)?;
    Ok(root.join(layout::PROVENANCE))
}

fn there(dir: PathBuf) -> Result<PathBuf> {
    if provenance::is_store(&dir) {
        return Ok(dir);
    }
    let message = "there is no provenance store here: name the directory of one, which is `provenance` under a root";
    Err(Error::new(ErrorKind::NotFound, message).at_path(dir))
}

/// The record, which has to be there.
fn record(store: &AnyStore, id: Id) -> Result<Record> {
    let missing = || Error::new(ErrorKind::NotFound, format!("there is no record {id}"));
    store.record(id)?.ok_or_else(missing)
}

/// Whether a record is damaged or of a newer version, so that others can be told all the same.
fn is_unreadable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Format)
}

/// What made the record, and what it is called, where that says more.
fn title(record: &Record) -> String {
    let operation = record.provenance.as_ref().map_or("-", Provenance::operation);
    let label = LineageRecord::new(record.clone()).label;
    let label = label.filter(|label| label != operation);
    let label = label.map_or_else(String::new, |label| format!(" {label:?}"));
    output::one_line(&(operation.to_owned() + &label))
}

/// A count with its noun in the right number.
fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
