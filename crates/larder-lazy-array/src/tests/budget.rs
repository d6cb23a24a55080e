use super::*;

fn zeros(len: usize) -> Array1<u8> {
    Array1::zeros(len)
}

#[test]
fn the_least_recently_used_goes_first_and_clean_ones_cost_nothing() {
    let (_dir, store) = fresh(250);
    let [a, b] = ["a", "b"].map(|key| store.insert(key, zeros(100)).unwrap());
    a.load().unwrap();
    let c = store.insert("c", zeros(100)).unwrap();
    assert_eq!([&a, &b, &c].map(LazyArray::offloaded), [false, true, false]);
    b.load().unwrap();
    assert_eq!([&a, &b, &c].map(LazyArray::offloaded), [true, false, false]);
    let figures = store.budget().figures();
    assert_eq!((figures.resident, figures.peak, figures.offloads), (200, 200, 2));
    assert_eq!((figures.loads, figures.spills), (1, 0));
}

#[test]
fn an_edited_array_is_spilled_and_comes_back_edited() {
    let (_dir, store) = fresh(150);
    let a = store.insert("a", zeros(100)).unwrap();
    a.write().unwrap()[[99]] = 7;
    let b = store.insert("b", zeros(100)).unwrap();
    assert_eq!((a.offloaded(), b.offloaded(), store.budget().spills()), (true, false, 1));
    assert_eq!(a.rows(99..100).unwrap()[[0]], 7);
    assert!(a.offloaded());
    assert_eq!(a.read().unwrap()[[99]], 7);
    assert!(a.dirty());
    assert_eq!(b.read().unwrap().sum(), 0);
}

#[test]
fn guards_pin_and_may_pass_the_limit() {
    let (_dir, store) = fresh(250);
    let [a, b, c] = ["a", "b", "c"].map(|key| store.insert(key, zeros(100)).unwrap());
    let guards = [&a, &b, &c].map(|array| array.read().unwrap());
    assert_eq!(store.budget().resident(), 300);
    assert!(!a.offload().unwrap());
    assert_eq!(store.offload_all(Offload::Scratch).unwrap(), 0);
    drop(guards);
    assert_eq!(store.budget().resident(), 200);
    assert_eq!(store.budget().figures().peak, 300);
    assert_eq!(store.offload_all(Offload::Scratch).unwrap(), 3);
    assert_eq!(store.budget().resident(), 0);
}

#[test]
fn an_array_beyond_the_limit_is_published_and_read_but_not_kept() {
    let (_dir, store) = fresh(50);
    let small = store.insert("small", zeros(40)).unwrap();
    let large = store.insert("large", zeros(100)).unwrap();
    assert_eq!((small.offloaded(), large.offloaded()), (false, true));
    assert_eq!(large.read().unwrap().len(), 100);
    assert!(large.offloaded());
    assert_eq!(store.budget().resident(), 0);
}

#[test]
fn one_budget_serves_several_stores_and_forgets_the_dropped() {
    let budget = MemoryBudget::bytes(150);
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let open = |dir: &TempDir| {
        ArrayStore::open(dir.path(), Options::default().budget(budget.clone())).unwrap()
    };
    let (one, two) = (open(&dirs[0]), open(&dirs[1]));
    let a = one.insert("a", zeros(100)).unwrap();
    let b = two.insert("b", zeros(100)).unwrap();
    assert_eq!((a.offloaded(), b.offloaded(), budget.resident()), (true, false, 100));
    drop((two, b));
    assert_eq!(budget.resident(), 0);
}

#[test]
fn what_cannot_be_spilled_stays_and_the_error_is_told() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("file"), b"");
    let options =
        Options::default().budget(MemoryBudget::bytes(150)).scratch(dir.path().join("file"));
    let store = ArrayStore::open(dir.path().join("arrays"), options).unwrap();
    let b = store.insert("b", zeros(100)).unwrap();
    let a = store.insert("a", zeros(100)).unwrap();
    a.write().unwrap()[[0]] = 7;
    for _ in 0..2 {
        assert_eq!(a.offload().unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(b.read().unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(store.insert("c", zeros(100)).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!((a.offloaded(), a.read().unwrap()[[0]]), (false, 7));
        assert_eq!(store.budget().resident(), 100);
    }
    assert!(!store.contains("c").unwrap());
    assert_eq!(b.rows(0..1).unwrap()[[0]], 0);
    a.flush().unwrap();
    assert_eq!(b.read().unwrap().sum(), 0);
}

#[test]
fn a_key_that_is_taken_costs_no_room() {
    let (_dir, store) = fresh(150);
    let array = store.insert("a", zeros(100)).unwrap();
    assert_eq!(store.insert("a", zeros(100)).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(!array.offloaded());
}

#[cfg(target_os = "linux")]
#[test]
fn spilled_arrays_lie_in_one_file_without_a_name() {
    let (dir, store) = fresh(1000);
    let arrays: Vec<_> = (0..50)
        .map(|at| {
            let array = store.insert(&format!("{at}"), zeros(10)).unwrap();
            array.write().unwrap()[[0]] = at;
            assert!(array.offload().unwrap());
            array
        })
        .collect();
    assert_eq!(unnamed(dir.path()).len(), 1);
    assert_eq!(staged(dir.path()), [] as [PathBuf; 0]);
    for (array, at) in arrays.iter().zip(0..) {
        assert_eq!(array.rows(0..1).unwrap()[[0]], at);
        assert_eq!(array.read().unwrap()[[0]], at);
    }
}
