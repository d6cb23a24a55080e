//! Work on arrays that many processes share, or that is killed.

use std::{
    collections::BTreeSet,
    error::Error,
    io::{self, Write},
    path::Path,
};

use larder::lazy_array::{ArrayStore, LazyArray, MemoryBudget, Options, ndarray::Axis};
use larder_storage::{Durability, ErrorKind, Result};

use super::{
    array_changes::{Change, ROWS, change, content, edit, number_of, open},
    array_stream::stream,
};

pub(crate) type Outcome = std::result::Result<(), Box<dyn Error>>;

/// Does `what` with the store at `place`; `number` is what each work says.
pub(crate) fn work(what: &str, place: &Path, number: u32) -> Outcome {
    let store = || open(place, Durability::Process);
    match what {
        "churn" => churn(&store()?, number),
        "churn-at-power" => churn(&open(place, Durability::Power)?, number),
        "insert" => insert(&store()?, number),
        "watch" => watch(&store()?, number),
        "count" => count(place),
        "spill" => spill(place, number),
        "stream" => stream(place),
        _ => Err(format!("unknown work: {what}").into()),
    }
}

pub(crate) fn say(step: impl std::fmt::Display) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(format!("{step}\n").as_bytes())?;
    out.flush()
}

/// Makes one change after the other, from the number `first` on, until it is killed; each that is acknowledged is told
/// by an empty line.
fn churn(store: &ArrayStore, first: u32) -> Outcome {
    for number in first.. {
        carry_out(store, number)?;
        io::stdout().write_all(b"\n")?;
    }
    Ok(())
}

fn carry_out(store: &ArrayStore, number: u32) -> Outcome {
    let content = |key: &str| content(key, number, ROWS);
    match change(number) {
        Change::Insert(key) => _ = store.insert(&key, content(&key))?,
        Change::Write(key) => {
            let content = content(&key);
            let mut writer = store.writer(&key, content.shape())?;
            for row in content.rows() {
                writer.append(row.insert_axis(Axis(0)))?;
            }
            writer.finish()?;
        }
        Change::Edit(key) => edited(store, &key, number)?.flush()?,
        Change::EditSpilled(key) => {
            let array = edited(store, &key, number)?;
            assert!(array.offload()?);
            array.flush()?;
        }
        Change::Spill(key) => assert!(edited(store, &key, number)?.offload()?),
        Change::Remove(key) => assert!(store.remove(&key)?),
    }
    Ok(())
}

/// The array of that key with the edits of this number, or a new one.
fn edited(store: &ArrayStore, key: &str, number: u32) -> Result<LazyArray<u64>> {
    match store.get(key)? {
        Some(array) => edit(&array, number).map(|()| array),
        None => store.insert(key, content(key, number, ROWS)),
    }
}

/// Inserts an array of its own number under each key that it reads, and says whether it was the one to do so.
fn insert(store: &ArrayStore, id: u32) -> Outcome {
    for key in io::stdin().lines() {
        let key = key?;
        match store.insert(&key, content(&key, id, ROWS)) {
            Ok(_) => say("won")?,
            Err(error) if error.kind() == ErrorKind::Conflict => say("lost")?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads the array `shared` in every way until it is that of the number `last`, and says how many it saw.
fn watch(store: &ArrayStore, last: u32) -> Outcome {
    let mut seen = BTreeSet::new();
    while !seen.contains(&last) {
        let array = store.get::<u64>("shared")?.ok_or("no array")?;
        let number = number_of(&array.read()?, 0);
        assert!(seen.last() <= Some(&number), "{number} after {seen:?}");
        if seen.is_empty() {
            say("watching")?;
        }
        seen.insert(number);
        assert!(array.offload()?);
        number_of(&array.rows(7..19)?, 7);
        for (at, chunk) in array.chunks(100)?.enumerate() {
            number_of(&chunk?, at * 100);
        }
    }
    Ok(say(seen.len())?)
}

/// Adds one to the first element of the array `counter` for each line `edit`, and publishes that for each other line.
fn count(place: &Path) -> Outcome {
    let mut store = open(place, Durability::Process)?;
    for order in io::stdin().lines() {
        let array = store.get::<u64>("counter")?.ok_or("no array")?;
        if order? == "edit" {
            array.write()?[[0]] += 1;
            say("edited")?;
            continue;
        }
        match array.flush() {
            Ok(()) => say("published")?,
            Err(error) if error.kind() == ErrorKind::Conflict => {
                // The edits are kept, for as long as the store.
                store = open(place, Durability::Process)?;
                say("conflict")?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Edits and spills the arrays `0` to `number`, and then waits to be killed.
fn spill(place: &Path, number: u32) -> Outcome {
    let store = ArrayStore::open(place, Options::default().budget(MemoryBudget::bytes(0)))?;
    for key in 0..number {
        let array = store.get::<u64>(&key.to_string())?.ok_or("no array")?;
        array.write()?[[0, 0]] = u64::MAX;
        assert!(array.offload()? && array.dirty());
    }
    say("spilled")?;
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
