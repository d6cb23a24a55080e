//! Many processes read under leases what others evict, and every access counts.

use super::{changes::EVICT_ABOVE, *};

#[test]
fn eight_processes_read_under_leases_what_an_evictor_that_is_always_over_wants_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut evictor = start("evict", dir.path(), 0);
    evictor.expect("evicting");
    let readers: Vec<_> = (0..8).map(|id| start("read", dir.path(), id)).collect();
    let built: u32 = readers.into_iter().map(|it| it.rest().trim().parse::<u32>().unwrap()).sum();
    let gone: u32 = evictor.rest().trim().parse().unwrap();
    let cache = open(dir.path(), EVICT_ABOVE);
    assert_eq!(built - gone, u32::try_from(numbers(&cache).len()).unwrap(), "each went once");
    assert!(gone > 20, "only {gone} entries were evicted");
    assert_sound(&cache, "after all");
    let journals = fs::read_dir(dir.path().join(".larder/accesses")).unwrap().count();
    assert_eq!(journals, 0, "what all noted is counted");
}

#[test]
fn two_thousand_accesses_of_four_processes_are_two_thousand() {
    assert_eq!(accesses("count", 500), 1 + 4 * 500);
}

#[test]
fn no_access_is_lost_by_those_who_open_the_cache_for_each() {
    assert_eq!(accesses("reopen", 25), 1 + 4 * 25);
}

/// How often an entry was accessed that is built here and that four processes use so many times.
fn accesses(what: &str, times: u32) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    build(&cache, "shared", 1).unwrap();
    let mut workers: Vec<_> = (0..4).map(|_| start(what, dir.path(), times)).collect();
    workers.iter_mut().for_each(|worker| worker.expect("waiting"));
    workers.iter_mut().for_each(Worker::let_go);
    // While some still take leases.
    cache.run_once().unwrap();
    workers.into_iter().for_each(|worker| _ = worker.rest());
    let count = cache.entries().unwrap()[0].access_count;
    drop(cache);
    let meta = fs::read(dir.path().join("shared/.cache_meta")).unwrap();
    let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap();
    assert_eq!(meta["access_count"], count, "it follows at close");
    count
}
