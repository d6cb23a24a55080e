//! What a cycle takes that finds nothing to do.

use serde_json::json;

use super::{
    shelf::{Root, Shelf, at_numbers},
    walk::blocks,
};
use crate::{
    Outcome,
    rounds::{Table, compare_turns, once},
};

/// Few, as one of vcti-file-cache takes seconds.
const ROUNDS: usize = 2;
/// Of Larder, in each round.
const CYCLES: usize = 20;
/// Above this many entries a cycle of vcti-file-cache takes minutes.
const MOST_OF_VCTI: usize = 10_000;

pub(super) fn all(shelf: &Shelf<'_>, root: &Root) -> Outcome<Table> {
    let cache = root.open()?;
    let idle = |_| match &cache.run_once()?[..] {
        [] => root.check(&cache),
        _ => Err("the cycle has evicted".into()),
    };
    let mut contenders = vec![
        ("Larder", at_numbers(|_| (0..CYCLES).collect(), idle)),
        ("bare walk of all files", Box::new(|_| once(|| blocks(&root.dir).map(drop)))),
    ];
    if root.entries <= MOST_OF_VCTI {
        let of_vcti = Root::fill(shelf.dirs, root.entries)?.dir;
        let request = json!({ "request": "cycle", "root": of_vcti, "entries": root.entries });
        contenders.extend(shelf.remote("vcti-file-cache", move |_| request.clone()));
    }
    shelf.dirs.settle()?;
    compare_turns(&format!("idle cycle at {} entries", root.entries), ROUNDS, contenders)
}
