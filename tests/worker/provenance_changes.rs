//! Results that tell which change made them, and an endless row of changes of a store of them, each of which follows from
//! its number alone.

use std::path::Path;

use larder::provenance::{GcOptions, Id, Options, Provenance, ProvenanceStore};
use larder_storage::{Digest, Durability, Error, ErrorKind, Result};

pub(crate) type Store = ProvenanceStore<Vec<u8>>;

pub(crate) fn open(place: &Path, durability: Durability) -> Result<Store> {
    Store::open(place, Options::default().durability(durability))
}

/// The result of this name in this version.
pub(crate) fn content(name: &str, version: u32) -> Vec<u8> {
    format!("{name} {version} ").bytes().cycle().take(3000).collect()
}

/// What the result of this name is made from.
pub(crate) fn parent(name: &str) -> Option<&'static str> {
    match name {
        "b" | "merged" => Some("a"),
        "c" => Some("b"),
        _ => None,
    }
}

/// What one change does.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Asks for a result, and computes this version of it where it is not there.
    Compute(&'static str, u32),
    /// Stores this version of a result.
    Put(&'static str, u32),
    /// Stores a result without provenance.
    Add(u32),
    /// Deletes the result without provenance that the change of this number stored.
    Drop(u32),
    Delete(&'static str),
    Invalidate(&'static str),
    /// Gives up every payload that may go.
    Collect,
    Pin(&'static str, bool),
    Tag(&'static str, String),
    /// Merges a store that has the result `a` in this version, and `merged`, made from it.
    Merge(u32),
    Refresh,
    Reindex,
}

/// How many changes make a round.
pub(crate) const ROUND: u32 = 19;

/// The change of this number. In each round `a` is invalidated and comes out the same, or in every second another one;
/// so does `b`, half as often.
pub(crate) fn change(number: u32) -> Change {
    let round = number / ROUND;
    match number % ROUND {
        0 => Change::Compute("a", round / 2),
        1 => Change::Compute("b", round / 4),
        2 | 9 | 12 => Change::Compute("c", round / 8),
        3 => Change::Put("leaf", round),
        4 => Change::Add(number),
        5 => Change::Tag("b", format!("tag {}", round % 3)),
        6 => Change::Invalidate("a"),
        7 => Change::Compute("a", round.div_ceil(2)),
        8 => Change::Compute("b", (round + 1) / 4),
        10 => Change::Pin("a", round.is_multiple_of(2)),
        11 => Change::Collect,
        13 => Change::Merge(round.div_ceil(2)),
        14 if round.is_multiple_of(2) => Change::Reindex,
        14 => Change::Refresh,
        15 => Change::Delete("leaf"),
        16 => Change::Delete("merged"),
        17 => Change::Drop(number - 13),
        _ => Change::Invalidate("b"),
    }
}

/// Makes a change.
pub(crate) fn carry_out(store: &Store, number: u32) -> Result<()> {
    match change(number) {
        Change::Compute(name, version) => {
            store.get_or_compute(&made(store, name)?, || Ok(content(name, version)))?;
        }
        Change::Put(name, version) => {
            store.put(content(name, version), Some(made(store, name)?))?;
        }
        Change::Add(number) => _ = store.put(content("added", number), None)?,
        Change::Drop(number) => {
            let payload = Digest::of(&content("added", number));
            let record = store.list().find(|it| it.as_ref().is_ok_and(|it| it.payload == payload));
            assert!(store.delete(record.ok_or_else(|| missing("added"))??.id)?);
        }
        Change::Delete(name) => assert!(store.delete(id_of(store, name)?)?),
        Change::Invalidate(name) => _ = store.invalidate(id_of(store, name)?)?,
        Change::Collect => _ = store.gc(&GcOptions::default().max_bytes(0))?,
        Change::Pin(name, pinned) => store.pin(id_of(store, name)?, pinned)?,
        Change::Tag(name, tag) => store.tag(id_of(store, name)?, tag)?,
        Change::Merge(version) => {
            let merged = store.merge(&other(version)?)?;
            assert_eq!((merged.added, merged.found, merged.problems), (1, 1, vec![]));
        }
        Change::Refresh => assert_eq!(store.refresh()?.problems, []),
        Change::Reindex => assert_eq!(store.reindex()?.problems, []),
    }
    Ok(())
}

/// The store that is merged.
fn other(version: u32) -> Result<Store> {
    let other = Store::in_memory();
    for name in ["a", "merged"] {
        other.put(content(name, version), Some(made(&other, name)?))?;
    }
    Ok(other)
}

/// What makes the result of this name.
pub(crate) fn made(store: &Store, name: &str) -> Result<Provenance> {
    let made = Provenance::new(name);
    Ok(match parent(name) {
        Some(parent) => made.input(id_of(store, parent)?),
        None => made,
    })
}

fn id_of(store: &Store, name: &str) -> Result<Id> {
    for record in store.records() {
        let record = record?;
        if record.provenance.is_some_and(|made| made.operation() == name) {
            return Ok(record.id);
        }
    }
    Err(missing(name))
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{name} is not there"))
}
