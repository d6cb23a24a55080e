//! What it takes to know which entries were read lately.

use larder_kv_cache::{Options, Policy};

use super::{Call, Kind, MANY, Peer, ROOM, Shelf, at_once, draw, larder};
use crate::{Outcome, directories::Directories, rounds::Table};

/// How many gets are timed as one: many times the uses that are written down together.
const GETS: usize = 50_000;
/// More than all entries take.
const CAP: u64 = 1 << 40;

/// Each store without a cap, and with one.
pub(super) fn all(dirs: &Directories, peer: Option<&Peer>) -> Outcome<Vec<Table>> {
    let policy = Policy::LeastRecentlyUsed;
    let memory = |bytes| {
        let options = Options::default().memory(bytes);
        [
            larder("Larder, no cap", options.clone()),
            larder("Larder, LRU cap", options.capacity(CAP, policy)),
        ]
    };
    let mut tables =
        vec![compare(dirs, "from memory", &memory(ROOM))?, compare(dirs, "from disk", &memory(0))?];
    if let Some(peer) = peer {
        let open = |name, kind| Kind::new(name, move |dir: &std::path::Path| peer.open(kind, dir));
        let kinds =
            [open("diskcache, no cap", "diskcache"), open("diskcache, LRU cap", "diskcache_lru")];
        tables.push(compare(dirs, "of diskcache", &kinds)?);
    }
    Ok(tables)
}

fn compare(dirs: &Directories, name: &str, kinds: &[Kind<'_>]) -> Outcome<Table> {
    let mut shelf = Shelf::fill(dirs, kinds, MANY)?;
    shelf.read_all()?;
    let task = |_: &Kind<'_>, round| at_once(Call::GetAll, draw(GETS, MANY, round));
    let table = shelf.compare(&format!("gets {name} under a cap"), 5, |_| true, task)?;
    Ok(Table { things: GETS, ..table })
}
