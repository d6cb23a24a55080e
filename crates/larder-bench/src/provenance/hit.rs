//! What it takes to get a result that is there.

use std::{collections::HashMap, fs, path::PathBuf};

use larder_provenance::{Options, Provenance, ProvenanceStore};
use larder_storage::Digest;
use serde_json::json;

use crate::{
    Outcome,
    directories::Directories,
    peer::Interpreter,
    random::draw,
    rounds::{Table, Turn, compare_turns, each},
};

const ROUNDS: usize = 10;
const CALLS: usize = 2000;
/// How many results there are.
const RESULTS: usize = 2000;
const LEN: usize = 1024;
/// Calls of about a microsecond are timed by so many.
const GROUP: usize = 100;

/// Of small arguments.
pub(super) fn small(dirs: &Directories, python: Option<&Interpreter>) -> Outcome<Table> {
    let asked: Vec<_> = (0..RESULTS).map(made).collect();
    let durable = ProvenanceStore::open(dirs.next()?, Options::default())?;
    let in_memory = ProvenanceStore::in_memory();
    for (number, made) in asked.iter().enumerate() {
        in_memory.put(result(number), Some(made.clone()))?;
        durable.put(result(number), Some(made.clone()))?;
    }
    let (files, map) = (files(dirs)?, map());
    let names: Vec<_> = (0..RESULTS).map(|number| format!("{:?}", asked[number])).collect();
    let mut contenders = vec![
        ("bare open, read, BLAKE3", turn(1, |number| from_file(&files[number]))),
        ("Larder, in memory", turn(GROUP, |number| from_store(&in_memory, &asked[number]))),
        ("Larder, durable", turn(1, |number| from_store(&durable, &asked[number]))),
        (
            "HashMap",
            turn(GROUP, |number| map.get(&names[number]).cloned().ok_or_else(|| "a miss".into())),
        ),
    ];
    for (name, kind, group) in [
        ("seqchain's dictionaries, Python", "seqchain", GROUP),
        ("joblib.Memory", "joblib", 1),
        ("diskcache.memoize", "diskcache", 1),
    ] {
        let Some(python) = python else { break };
        let open =
            json!({ "request": "open", "kind": kind, "dir": dirs.next()?, "results": RESULTS });
        python.ask::<()>(&open)?;
        let hits: Turn<'_> = Box::new(move |round| {
            let numbers = draw(CALLS, RESULTS, round);
            python.time(
                &json!({ "request": "hit", "kind": kind, "group": group, "numbers": numbers }),
            )
        });
        contenders.push((name, hits));
    }
    compare_turns("hit of 1 KiB, of an input and five parameters", ROUNDS, contenders)
}

/// Of an array of 100 MB whose digest is known.
pub(super) fn large(dirs: &Directories, python: Option<&Interpreter>) -> Outcome<Table> {
    let durable = ProvenanceStore::open(dirs.next()?, Options::default())?;
    let of_array = Provenance::new("mean").input_as("of", Digest::of(b"the array"));
    durable.put(result(0), Some(of_array.clone()))?;
    let file = files(dirs)?.swap_remove(0);
    let mut contenders = vec![
        ("bare open, read, BLAKE3", few(move |_| from_file(&file))),
        ("Larder, durable", few(move |_| from_store(&durable, &of_array))),
    ];
    if let Some(python) = python {
        python.ask::<()>(
            &json!({ "request": "open", "kind": "array", "dir": dirs.next()?, "results": 1 }),
        )?;
        let hits: Turn<'_> = Box::new(move |_| {
            python.time(
                &json!({ "request": "hit", "kind": "array", "group": 1, "numbers": [0, 0, 0] }),
            )
        });
        contenders.push(("joblib.Memory", hits));
    }
    compare_turns("hit of 1 KiB, of an array of 100 MB", 5, contenders)
}

fn turn<'a>(group: usize, mut get: impl FnMut(usize) -> Outcome<Vec<u8>> + 'a) -> Turn<'a> {
    Box::new(move |round| {
        each(group, &draw(CALLS, RESULTS, round), |number| {
            if get(*number)? == result(*number) { Ok(()) } else { Err("another result".into()) }
        })
    })
}

fn few<'a>(mut get: impl FnMut(usize) -> Outcome<Vec<u8>> + 'a) -> Turn<'a> {
    Box::new(move |_| each(1, &[0; 100], |number| get(*number).map(drop)))
}

fn from_store(store: &ProvenanceStore<Vec<u8>>, made: &Provenance) -> Outcome<Vec<u8>> {
    Ok(store.get_or_compute(made, || unreachable!("it is there"))?.payload)
}

fn from_file((path, digest): &(PathBuf, Digest)) -> Outcome<Vec<u8>> {
    let bytes = fs::read(path)?;
    if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err("the file is another one".into()) }
}

fn files(dirs: &Directories) -> Outcome<Vec<(PathBuf, Digest)>> {
    let dir = dirs.next()?;
    let write = |number| {
        let path = dir.join(format!("{number:06}"));
        fs::write(&path, result(number))?;
        Ok((path, Digest::of(&result(number))))
    };
    (0..RESULTS).map(write).collect()
}

fn map() -> HashMap<String, Vec<u8>> {
    (0..RESULTS).map(|number| (format!("{:?}", made(number)), result(number))).collect()
}

fn made(number: usize) -> Provenance {
    Provenance::new("transform.smooth")
        .version("2")
        .input_as("signal", Digest::of(&number.to_le_bytes()))
        .param("window", number)
        .param("rate", 0.25)
        .param("kernel", "gaussian")
        .param("strict", true)
        .param("label", format!("track {number}"))
}

fn result(number: usize) -> Vec<u8> {
    number.to_le_bytes().repeat(LEN / 8)
}
