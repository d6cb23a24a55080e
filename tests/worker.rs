//! What a test runs in a process of its own: `larder-worker increment ROOT KEY THREADS TIMES`.

use std::{env, error::Error, path::Path, thread};

use larder_storage::{Durability, Key, LocalStorage, testing};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["increment", root, key, threads, times] => {
            increment(Path::new(root), &Key::new(key)?, threads.parse()?, times.parse()?)
        }
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
