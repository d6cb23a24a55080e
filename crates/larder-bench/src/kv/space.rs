//! What the stores take of the disk after most of what was in them is gone.

use std::{fs, path::Path};

use larder_kv_cache::Options;

use super::{
    Call, Fjall, Kind, MANY, Peer, Redb, Sqlite, at_once, grouped, larder,
    record::{key, record},
    shuffled,
};
use crate::{
    Outcome,
    directories::Directories,
    rounds::{Row, Table, Unit},
};

/// One entry in so many stays.
const SHARE: usize = 10;

pub(super) fn all(dirs: &Directories, peer: Option<&Peer>) -> Outcome<Vec<Table>> {
    let live = left().map(|number| Ok(size_of_entry(number)?)).sum::<Outcome<usize>>()?;
    let mut kinds = vec![
        Kind::new("rusqlite", Sqlite::open),
        larder("Larder", Options::default()),
        Kind::new("redb, Durability::None", Redb::open),
        Kind::new("fjall", Fjall::open),
    ];
    if let Some(peer) = peer {
        kinds.push(Kind::new("diskcache", |dir: &Path| peer.open("diskcache", dir)));
    }
    let (mut removed, mut vacuumed) = (vec![row("keys and values", live, live)], Vec::new());
    vacuumed.push(row("keys and values", live, live));
    for kind in &kinds {
        eprintln!("removing from {}", kind.name);
        removed.push(row(kind.name, after(dirs, kind, false)?, live));
        if kind.name != "diskcache" {
            vacuumed.push(row(kind.name, after(dirs, kind, true)?, live));
        }
    }
    let table = |title: &str, rows| {
        let title = format!("{} of {} entries left, {title}", grouped(MANY / SHARE), grouped(MANY));
        Table { title, unit: Unit::Bytes, rounds: 1, things: 1, rows }
    };
    Ok(vec![table("as it is", removed), table("space given back", vacuumed)])
}

fn row(name: &str, bytes: usize, live: usize) -> Row {
    Row { name: name.into(), value: bytes as f64, of_floor: bytes as f64 / live as f64 }
}

fn left() -> impl Iterator<Item = usize> {
    (0..MANY).step_by(SHARE)
}

fn size_of_entry(number: usize) -> serde_json::Result<usize> {
    Ok(key(number).len() + serde_json::to_vec(&record(number, 0))?.len())
}

/// The bytes of the store's files after most entries were removed from it.
fn after(dirs: &Directories, kind: &Kind<'_>, vacuum: bool) -> Outcome<usize> {
    let dir = dirs.next()?;
    let mut contender = (kind.open)(&dir)?;
    contender.run(&at_once(Call::SetMany, shuffled(0..MANY)))?;
    let mut removed = shuffled(0..MANY);
    removed.retain(|number| number % SHARE != 0);
    contender.run(&at_once(Call::Remove, removed))?;
    if vacuum {
        contender.run(&at_once(Call::Vacuum, Vec::new()))?;
    }
    contender.run(&at_once(Call::GetAll, left().collect()))?;
    drop(contender);
    files(&dir)
}

fn files(dir: &Path) -> Outcome<usize> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.metadata()?;
        bytes += if found.is_dir() { files(&entry.path())? } else { usize::try_from(found.len())? };
    }
    Ok(bytes)
}
