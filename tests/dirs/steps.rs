//! A kill before each call of the operating system that changes something, of a process that publishes an entry and of one
//! that evicts some.

use std::thread;

use super::{changes::EVICT_ABOVE, *};
use crate::faults::{CALLS, kill_at_each};

/// Three entries, in the order of their use.
fn prepare(root: &Path) {
    let cache = open(root, PLENTY);
    for (number, key) in ["a", "b/c", "newest"].into_iter().enumerate() {
        build(&cache, key, number as u32).unwrap();
    }
}

/// Whether what is there is what it may be, when the work was acknowledged or not.
type Allowed = fn(&BTreeMap<String, u32>, bool) -> bool;

fn published(found: &BTreeMap<String, u32>, done: bool) -> bool {
    let new = found.get("new/entry");
    let old =
        ["a", "b/c", "newest"].into_iter().zip(0..).all(|(key, n)| found.get(key) == Some(&n));
    old && new.map_or(!done, |number| *number == 7) && found.len() == 3 + usize::from(new.is_some())
}

fn evicted(found: &BTreeMap<String, u32>, done: bool) -> bool {
    let first_goes_first = !found.contains_key("a") || found.contains_key("b/c");
    found["newest"] == 2 && first_goes_first && (!done || found.len() == 1)
}

/// What the kills left that somebody had to finish.
#[derive(Debug, Default)]
struct Left {
    kills: u32,
    stages: u32,
    trashes: u32,
}

/// Kills the work before its first call of `calls`, its second, and so on until it meets none.
fn survives(
    dir: &Path,
    (what, evict_above): (&str, u64),
    calls: &str,
    allowed: Allowed,
) -> Option<Left> {
    let mut left = Left::default();
    let root = dir.join(format!("{what}-{}", calls.replace(['?', ','], "")));
    let work = ["dirs", what, root.to_str().unwrap(), "7"];
    let fresh = |_| {
        prepare(&root);
        work
    };
    let check = |nth, done| {
        left.stages += u32::from(!in_stages(&root).is_empty());
        left.trashes += u32::from(!trash(&root).is_empty());
        let moment = format!("{what} killed at {calls} {nth}, acknowledged: {done}");
        let cache = open(&root, evict_above);
        assert_sound(&cache, &moment);
        let found = numbers(&cache);
        assert!(allowed(&found, done), "{moment}: {found:?}");
        drop(cache);
        fs::remove_dir_all(&root).unwrap();
    };
    left.kills = kill_at_each("kill -9 of work on directories", calls, fresh, check)?;
    Some(left)
}

/// All kills of one work, in two threads; `None` where strace may not be used.
fn survives_all(work: (&str, u64), allowed: Allowed) -> Option<Left> {
    let dir = tempfile::tempdir().unwrap();
    let mut all = Left::default();
    thread::scope(|scope| {
        let (even, odd): (Vec<_>, Vec<_>) = (0..CALLS.len()).partition(|at| at % 2 == 0);
        let lanes = [even, odd].map(|lane| {
            let dir = dir.path();
            scope.spawn(move || {
                let kills = |at| survives(dir, work, CALLS[at], allowed);
                lane.into_iter().map(kills).collect::<Option<Vec<_>>>()
            })
        });
        for lane in lanes {
            for left in lane.join().unwrap()? {
                all.kills += left.kills;
                all.stages += left.stages;
                all.trashes += left.trashes;
            }
        }
        Some(all)
    })
}

#[test]
fn a_kill_at_any_call_of_a_publication_leaves_the_whole_entry_or_none() {
    let Some(left) = survives_all(("publish", PLENTY), published) else { return };
    assert!(left.kills >= 40 && left.stages >= 5, "{left:?}: does strace still know the calls?");
}

#[test]
fn a_kill_at_any_call_of_an_eviction_leaves_each_victim_whole_or_gone() {
    let Some(left) = survives_all(("evict-once", EVICT_ABOVE), evicted) else { return };
    assert!(left.kills >= 40 && left.trashes >= 5, "{left:?}: does strace still know the calls?");
}
