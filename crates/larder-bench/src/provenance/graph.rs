//! What it takes to ask what was made from a record.

use std::collections::HashSet;

use larder_provenance::{Id, Options, Provenance, ProvenanceStore};
use larder_storage::Durability;

use crate::{
    Outcome,
    directories::Directories,
    random::Random,
    rounds::{Table, Turn, compare_turns, once},
};

const ROUNDS: usize = 10;
/// Of each record.
const INPUTS: usize = 5;
const WANTED: usize = 1000;

/// Bytes that are all the same, as a lineage reads no payload.
type Store = ProvenanceStore<Vec<u8>>;

pub(super) fn descendants(dirs: &Directories, records: usize) -> Outcome<Table> {
    eprintln!("filling stores with {records} records of {INPUTS} inputs each");
    let inputs = inputs(records);
    let options = Options::default().durability(Durability::Scratch);
    let (durable, in_memory) = (Store::open(dirs.next()?, options)?, Store::in_memory());
    let (of_durable, of_memory) = (fill(&durable, &inputs)?, fill(&in_memory, &inputs)?);
    let bare = bare(dirs, &inputs)?;
    let walk: Turn<'_> = Box::new(|round| {
        once(|| {
            let sql = "WITH RECURSIVE below(id) AS (
                           SELECT ?1 UNION SELECT child FROM edges, below WHERE source = below.id
                       ) SELECT id FROM below LIMIT ?2";
            let mut query = bare.prepare_cached(sql)?;
            let found = query.query_map([round, WANTED + 1], |row| row.get::<_, usize>(0))?;
            check(found.collect::<Result<HashSet<_>, _>>()?.len() - 1)
        })
    });
    let larder = |store: Store, ids: Vec<Id>| -> Turn<'_> {
        Box::new(move |round| {
            once(|| {
                let found = store.descendants(ids[round]).take(WANTED);
                check(found.collect::<Result<Vec<_>, _>>()?.len())
            })
        })
    };
    let contenders = vec![
        ("bare rusqlite, table of edges", walk),
        ("Larder, durable", larder(durable, of_durable)),
        ("Larder, in memory", larder(in_memory, of_memory)),
    ];
    let title = format!("{WANTED} descendants in a graph of {} edges", records * INPUTS);
    compare_turns(&title, ROUNDS, contenders)
}

fn check(found: usize) -> Outcome {
    if found == WANTED { Ok(()) } else { Err("a descendant is missing".into()) }
}

/// For each record other ones before it.
fn inputs(records: usize) -> Vec<Vec<usize>> {
    let mut random = Random(7);
    let mut draw = |record: usize| {
        let mut inputs = HashSet::new();
        while inputs.len() < INPUTS.min(record) {
            inputs.insert(random.below(record));
        }
        let mut inputs = Vec::from_iter(inputs);
        inputs.sort_unstable();
        inputs
    };
    (0..records).map(&mut draw).collect()
}

fn fill(store: &Store, inputs: &[Vec<usize>]) -> Outcome<Vec<Id>> {
    let mut ids: Vec<Id> = Vec::with_capacity(inputs.len());
    for (number, inputs) in inputs.iter().enumerate() {
        let made = Provenance::new("derive").param("number", number);
        let made = inputs.iter().fold(made, |made, input| made.input(ids[*input]));
        ids.push(store.put(vec![7; 64], Some(made))?);
    }
    Ok(ids)
}

fn bare(dirs: &Directories, inputs: &[Vec<usize>]) -> Outcome<rusqlite::Connection> {
    let mut db = rusqlite::Connection::open(dirs.next()?.join("bare.sqlite"))?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE edges (source INTEGER, child INTEGER, PRIMARY KEY (source, child)) WITHOUT ROWID",
    )?;
    let tx = db.transaction()?;
    for (child, inputs) in inputs.iter().enumerate() {
        for source in inputs {
            tx.prepare_cached("INSERT INTO edges VALUES (?1, ?2)")?
                .execute(rusqlite::params![source, child])?;
        }
    }
    tx.commit()?;
    Ok(db)
}
