//! What a test runs in a process of its own: `larder-worker increment ROOT KEY THREADS TIMES` or
//! `larder-worker increment-at URL KEY TIMES`, for example.

#[path = "worker/array.rs"]
mod array;
#[path = "worker/array_changes.rs"]
mod array_changes;
#[path = "worker/array_stream.rs"]
mod array_stream;
#[path = "worker/change.rs"]
mod change;
#[path = "worker/churn.rs"]
mod churn;
#[path = "worker/dirs.rs"]
mod dirs;
#[path = "worker/dirs_changes.rs"]
mod dirs_changes;
#[path = "worker/dirs_remote.rs"]
mod dirs_remote;
#[path = "worker/flight.rs"]
mod flight;
#[path = "worker/kv.rs"]
mod kv;
#[path = "worker/kv_changes.rs"]
mod kv_changes;
#[path = "worker/list.rs"]
mod list;
#[path = "worker/provenance.rs"]
mod provenance;
#[path = "worker/provenance_changes.rs"]
mod provenance_changes;
#[path = "worker/shards.rs"]
mod shards;
#[path = "worker/shards_changes.rs"]
mod shards_changes;

use std::{env, error::Error, path::Path, thread};

use larder_storage::{Durability, Key, LocalStorage, object::Options, open_with, testing};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["increment", root, key, threads, times] => {
            increment(Path::new(root), &Key::new(key)?, threads.parse()?, times.parse()?)
        }
        ["increment-at", url, key, times] => {
            // Whoever starts several of these has probed the server.
            let storage = open_with(url, &Options::default().probe(false))?;
            let (key, times) = (Key::new(key)?, times.parse()?);
            (0..times).for_each(|_: u32| testing::increment(&*storage, &key));
            Ok(())
        }
        ["array", what, place, number] => array::work(what, Path::new(place), number.parse()?),
        ["change", root, what] => change::change(Path::new(root), what),
        ["churn", root, first] => churn::churn(Path::new(root), first.parse()?),
        ["dirs-remote", url, root] => dirs_remote::work(url, root),
        ["dirs", what, root, number] => dirs::work(what, Path::new(root), number.parse()?),
        ["flight", reach, url, lease_ms] => flight::work(reach, url, lease_ms.parse()?),
        ["kv", engine, place, what, number, times] => {
            kv::work(engine, place, what, number.parse()?, times.parse()?)
        }
        ["list", root] => list::list(Path::new(root)),
        ["provenance", what, place, number] => {
            provenance::work(what, Path::new(place), number.parse()?)
        }
        ["provenance-on", url, index] => provenance::work_on(url, index),
        ["shards", what, place, number] => shards::work(what, Path::new(place), number.parse()?),
        ["exhaust", root] => change::exhaust(Path::new(root)),
        _ => Err(format!("unknown work: {args:?}").into()),
    }
}

/// Adds one to a counter `times` times in each of `threads` threads, by compare-and-swap.
fn increment(
    root: &Path,
    counter: &Key,
    threads: usize,
    times: usize,
) -> Result<(), Box<dyn Error>> {
    let storage = LocalStorage::open(root, Durability::Process)?;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..times).for_each(|_| testing::increment(&storage, counter)));
        }
    });
    Ok(())
}
