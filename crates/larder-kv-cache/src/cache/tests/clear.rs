use super::*;

#[test]
fn cleared_data_never_returns_and_its_rows_go_a_few_at_a_time() {
    let (dir, cache) = fresh();
    cache.set_many((0..1000).map(|n| (n.to_string(), n))).unwrap();
    cache.clear().unwrap();
    assert!(cache.is_empty().unwrap() && cache.keys().unwrap().is_empty());
    assert_eq!(cache.status().unwrap().dead, 1000, "clearing itself deletes nothing");
    assert!(!cache.invalidate("5").unwrap());

    let mut cleared = cache.status().unwrap().dead;
    for n in (800..1000).rev() {
        cache.set(&n.to_string(), &-n).unwrap();
        let now = cache.status().unwrap().dead;
        assert!(cleared - now <= 9, "one write deletes a bounded number");
        cleared = now;
    }
    assert_eq!(cleared, 0);
    drop(cache);
    let cache = open(dir.path(), "genes");
    let expected: Vec<String> = (800..1000).rev().map(|n| n.to_string()).collect();
    assert_eq!(cache.keys().unwrap(), expected, "a cleared key begins anew, at the end");
    assert_eq!(cache.get("950").unwrap(), Lookup::Hit(-950));
    assert_eq!(cache.get::<i32>("5").unwrap(), Lookup::Miss);
}

#[test]
fn what_is_set_after_clearing_an_empty_cache_is_there() {
    let (_dir, cache) = fresh();
    cache.set("a", &1).unwrap();
    cache.clear().unwrap();
    cache.set("b", &2).unwrap();
    assert!(cache.invalidate("b").unwrap(), "now the table is empty");
    cache.clear().unwrap();
    cache.clear().unwrap();
    cache.set("c", &3).unwrap();
    assert_eq!(cache.keys().unwrap(), ["c"]);
    assert_eq!(cache.get("c").unwrap(), Lookup::Hit(3));
}

#[test]
fn writers_beside_one_that_clears_keep_what_they_set_last() {
    let (_dir, cache) = fresh();
    thread::scope(|scope| {
        for worker in 0..4 {
            let cache = &cache;
            scope.spawn(move || {
                for n in 0..100 {
                    cache.set(&format!("{worker}:{n}"), &n).unwrap();
                }
            });
        }
        scope.spawn(|| (0..50).for_each(|_| cache.clear().unwrap()));
    });
    cache.set("last", &0).unwrap();
    let keys = cache.keys().unwrap();
    for worker in 0..4 {
        let prefix = format!("{worker}:");
        let own = keys.iter().filter_map(|key| key.strip_prefix(&prefix)?.parse().ok());
        let own: Vec<i32> = own.collect();
        let first = 100 - own.len() as i32;
        assert_eq!(
            own,
            (first..100).collect::<Vec<_>>(),
            "the last clear took a prefix, nothing in between"
        );
    }
}
