//! One suite on every storage, with the index on a local disk.

use std::sync::Arc;

use larder::provenance::{GcOptions, Id, Options, Provenance, ProvenanceStore, State};
use larder_storage::{
    Digest, Durability, ErrorKind, Key, LocalStorage, MemoryStorage, PutIf, Storage,
};
use tempfile::TempDir;

use super::changes::{Store, content};
use crate::servers::on_each_server;

/// A storage, and the indexes of those who use it.
struct Place {
    storage: Arc<dyn Storage>,
    indexes: TempDir,
}

impl Place {
    fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, indexes: tempfile::tempdir().unwrap() }
    }

    /// The store as the machine of this name opens it, with an index of its own.
    fn open(&self, machine: &str) -> Store {
        let index = self.indexes.path().join(machine);
        ProvenanceStore::on(Arc::clone(&self.storage), index, Options::default()).unwrap()
    }

    fn keys(&self, below: &str) -> Vec<Key> {
        let below = Key::new(below).unwrap();
        self.storage.keys(Some(&below)).unwrap().map(Result::unwrap).collect()
    }

    /// The object of a payload.
    fn payload(&self, payload: &[u8]) -> Key {
        let name = Digest::of(payload).to_string();
        Key::new(format!("blobs/{}/{name}", &name[..2])).unwrap()
    }

    /// Removes an object, cuts it off and changes a bit of it, one after the other, and has each looked at.
    fn damage(&self, key: &Key, check: impl Fn(&str)) {
        let whole = self.storage.get(key).unwrap().expect("an object").into_bytes();
        let mut flipped = whole.to_vec();
        flipped[whole.len() / 2] ^= 1;
        let cut = whole[..whole.len() / 2].to_vec();
        for (how, damaged) in [("removed", None), ("cut", Some(cut)), ("flipped", Some(flipped))] {
            match damaged {
                Some(damaged) => self.storage.put(key, damaged.into(), PutIf::Always).unwrap(),
                None => assert!(self.storage.remove(key).unwrap()),
            }
            check(how);
            self.storage.put(key, whole.clone(), PutIf::Always).unwrap();
        }
    }
}

type Check = fn(&Place);

const SUITE: [(&str, Check); 9] = [
    ("found", what_is_stored_is_found_on_every_machine),
    ("refused", another_result_is_refused_on_every_machine),
    ("invalid", what_is_invalid_is_computed_anew),
    ("cut-off", what_comes_out_the_same_keeps_what_was_made_from_it),
    ("collected", what_is_collected_keeps_its_lineage),
    ("damaged", a_damaged_payload_is_a_miss_and_is_replaced),
    ("records", a_damaged_record_is_told_and_written_again),
    ("refreshed", a_machine_that_refreshes_sees_what_others_did),
    ("merged", what_is_merged_is_there_for_all),
];

fn suite(storage: impl Fn(&str) -> Arc<dyn Storage>) {
    SUITE.iter().for_each(|(name, check)| check(&Place::new(storage(name))));
}

#[test]
fn memory_passes_the_suite() {
    suite(|_| Arc::new(MemoryStorage::new()));
}

#[test]
fn a_directory_passes_the_suite() {
    let dir = tempfile::tempdir().unwrap();
    suite(|name| Arc::new(LocalStorage::open(dir.path().join(name), Durability::Process).unwrap()));
}

#[test]
fn real_servers_pass_the_suite() {
    on_each_server("the suite of results", |server| {
        server.open("provenance");
        suite(|name| server.reopen(&format!("provenance/{name}")));
    });
}

fn made(name: &str, inputs: &[Id]) -> Provenance {
    inputs.iter().fold(Provenance::new(name).param("window", 500), |made, id| made.input(*id))
}

/// Computes a result in version `n`, where it is not there, and says whether that was so.
fn computes(store: &Store, made: &Provenance, n: u32) -> bool {
    let name = made.operation();
    let outcome = store.get_or_compute(made, || Ok(content(name, n))).unwrap();
    assert_eq!(outcome.payload, content(name, n));
    outcome.computed
}

/// `a`, `b` made from it, and `c` made from that.
fn chain(store: &Store) -> ([Id; 3], [Provenance; 3]) {
    let put =
        |made: &Provenance| store.put(content(made.operation(), 0), Some(made.clone())).unwrap();
    let a = made("a", &[]);
    let b = made("b", &[put(&a)]);
    let c = made("c", &[put(&b)]);
    ([put(&a), put(&b), put(&c)], [a, b, c])
}

#[track_caller]
fn states(store: &Store, ids: &[Id]) -> Vec<State> {
    ids.iter().map(|id| store.record(*id).unwrap().expect("a record").state).collect()
}

#[track_caller]
fn is_clean(store: &Store) {
    let report = store.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
}

fn what_is_stored_is_found_on_every_machine(place: &Place) {
    let store = place.open("a");
    let (ids, made) = chain(&store);
    let plain = [1, 2].map(|_| store.put(b"plain".to_vec(), None).unwrap());
    assert_ne!(plain[0], plain[1]);
    store.tag(ids[1], "release").unwrap();
    assert_eq!((place.keys("records").len(), place.keys("blobs").len()), (5, 4));
    for store in [store, place.open("a"), place.open("b")] {
        for (id, made) in ids.iter().zip(&made) {
            assert_eq!(store.find(made).unwrap(), Some(*id));
            let stored = store.get(*id).unwrap().unwrap();
            assert_eq!(stored.payload, content(made.operation(), 0));
            assert_eq!(stored.provenance.as_ref(), Some(made));
            assert!(!computes(&store, made, 0));
        }
        let listed: Vec<_> = store.list().map(|record| record.unwrap().id).collect();
        assert_eq!(listed, [ids.as_slice(), &plain].concat());
        assert_eq!(store.path(ids[0], ids[2]).unwrap().as_deref(), Some(&ids[..]));
        assert_eq!(store.tagged("release").unwrap(), [ids[1]]);
        is_clean(&store);
    }
}

fn another_result_is_refused_on_every_machine(place: &Place) {
    let (one, other) = (place.open("a"), place.open("b"));
    let id = one.put(content("a", 0), Some(made("a", &[]))).unwrap();
    for store in [one, other] {
        let put = |n| store.put(content("a", n), Some(made("a", &[])));
        assert_eq!(put(1).unwrap_err().kind(), ErrorKind::NonDeterministic);
        assert_eq!(put(0).unwrap(), id);
        is_clean(&store);
    }
}

fn what_is_invalid_is_computed_anew(place: &Place) {
    use State::{Doubtful, Invalid, Live};
    let (one, other) = (place.open("a"), place.open("b"));
    let (ids, made) = chain(&one);
    assert_eq!(one.would_invalidate(ids[0]).unwrap(), ids);
    assert_eq!(one.invalidate(ids[0]).unwrap(), ids);
    other.refresh().unwrap();
    for store in [&one, &other] {
        assert_eq!(states(store, &ids), [Invalid, Doubtful, Doubtful]);
        assert_eq!(made.each_ref().map(|made| store.find(made).unwrap()), [None; 3]);
        assert_eq!(store.get(ids[0]).unwrap(), None);
    }
    // One after the other, each under its id; what was invalid is no contradiction.
    for (id, made) in ids.iter().zip(&made) {
        assert!(computes(&other, made, 1));
        assert_eq!(other.find(made).unwrap(), Some(*id));
        assert!(!computes(&one, made, 1));
    }
    one.refresh().unwrap();
    for store in [&one, &other, &place.open("c")] {
        assert_eq!(states(store, &ids), [Live; 3]);
        is_clean(store);
    }
}

fn what_comes_out_the_same_keeps_what_was_made_from_it(place: &Place) {
    let store = place.open("a");
    let (ids, made) = chain(&store);
    store.invalidate(ids[0]).unwrap();
    assert!(computes(&store, &made[0], 0));
    for store in [store, place.open("b")] {
        assert!(!computes(&store, &made[2], 0));
        assert_eq!(states(&store, &ids), [State::Live; 3]);
        is_clean(&store);
    }
}

fn what_is_collected_keeps_its_lineage(place: &Place) {
    use State::{Collected, Live};
    let store = place.open("a");
    let (ids, made) = chain(&store);
    store.pin(ids[2], true).unwrap();
    let all = GcOptions::default().max_bytes(0);
    let would = store.gc(&all.clone().dry_run(true)).unwrap();
    assert_eq!((&would.collected[..], states(&store, &ids)), (&ids[..2], vec![Live; 3]));
    assert_eq!(store.gc(&all).unwrap(), would);
    for store in [store, place.open("b")] {
        assert_eq!(states(&store, &ids), [Collected, Collected, Live]);
        assert_eq!(store.get(ids[0]).unwrap(), None);
        assert_eq!(store.get(ids[2]).unwrap().unwrap().payload, content("c", 0));
        assert_eq!(store.ancestors(ids[2]).count(), 2);
        is_clean(&store);
    }
    let store = place.open("b");
    assert!(computes(&store, &made[1], 0) && !computes(&store, &made[2], 0));
    assert_eq!(states(&store, &ids), [Collected, Live, Live]);
}

fn a_damaged_payload_is_a_miss_and_is_replaced(place: &Place) {
    let store = place.open("a");
    let (ids, [a, ..]) = chain(&store);
    place.damage(&place.payload(&content("a", 0)), |how| {
        for store in [&store, &place.open(how)] {
            assert_eq!(store.find(&a).unwrap(), None, "{how}");
            assert_eq!(store.get(ids[0]).unwrap_err().kind(), ErrorKind::Corrupt, "{how}");
            let problems = store.verify().unwrap().problems;
            let places: Vec<_> = problems.iter().map(|it| &*it.place).collect();
            assert_eq!(places, [ids[0].to_string()], "{how}");
        }
        assert!(computes(&store, &a, 0), "{how}");
        assert_eq!(store.find(&a).unwrap(), Some(ids[0]), "{how}");
        is_clean(&store);
    });
}

fn a_damaged_record_is_told_and_written_again(place: &Place) {
    let store = place.open("a");
    let a = made("a", &[]);
    let id = store.put(content("a", 0), Some(a.clone())).unwrap();
    let [at] = &place.keys("records")[..] else { panic!("one record") };
    place.damage(at, |how| {
        assert_eq!(store.verify().unwrap().problems.len(), 1, "{how}");
        // The index still has it; a machine that comes now does not, and computes it anew.
        assert_eq!(store.find(&a).unwrap(), Some(id), "{how}");
        let other = place.open(how);
        assert_eq!(other.find(&a).unwrap(), None, "{how}");
        assert!(computes(&other, &a, 0), "{how}");
        is_clean(&other);
    });
    store.reindex().unwrap();
    assert_eq!(store.find(&a).unwrap(), Some(id));
    is_clean(&store);
}

fn a_machine_that_refreshes_sees_what_others_did(place: &Place) {
    let (one, other) = (place.open("a"), place.open("b"));
    let (ids, _) = chain(&one);
    assert_eq!(other.records().count(), 0);
    assert_eq!(other.refresh().unwrap().read, 3);
    one.tag(ids[0], "release").unwrap();
    one.note(ids[0], Some("looked at")).unwrap();
    assert!(one.delete(ids[2]).unwrap());
    assert_eq!(other.refresh().unwrap().removed, 1);
    assert_eq!(other.tagged("release").unwrap(), [ids[0]]);
    let record = other.record(ids[0]).unwrap().unwrap();
    assert_eq!(record.note.as_deref(), Some("looked at"));
    assert_eq!(other.record(ids[2]).unwrap(), None);
    [&one, &other].into_iter().for_each(is_clean);
}

fn what_is_merged_is_there_for_all(place: &Place) {
    let (store, other) = (place.open("a"), Store::in_memory());
    let a = store.put(content("a", 0), Some(made("a", &[]))).unwrap();
    let (theirs, _) = chain(&other);
    let merged = store.merge(&other).unwrap();
    assert_eq!((merged.added, merged.found, merged.problems), (2, 1, vec![]));
    for store in [store, place.open("b")] {
        // What was made from theirs is made from ours.
        assert_eq!(store.path(a, theirs[2]).unwrap(), Some(vec![a, theirs[1], theirs[2]]));
        assert_eq!(store.find(&made("b", &[a])).unwrap(), Some(theirs[1]));
        assert_eq!(store.get(theirs[2]).unwrap().unwrap().payload, content("c", 0));
        is_clean(&store);
    }
}
