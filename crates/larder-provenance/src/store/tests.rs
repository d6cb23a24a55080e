use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::SystemTime,
};

use larder_storage::{Digest, Key, MemoryStorage, PutIf, StorageExt};
use tempfile::TempDir;

use super::*;
use crate::{Genome, Json, PlacedTrack, blobs::Blobs};

mod damage;
mod graph;
mod model;
mod repair;
mod shared;

type Bytestore = ProvenanceStore<Vec<u8>>;

/// A store whose files can be tampered with.
struct Bench {
    store: Bytestore,
    storage: Arc<dyn Storage>,
    dir: Option<TempDir>,
}

impl Bench {
    fn in_memory() -> Self {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
        let store = ProvenanceStore::of(Backend::with_payloads(Arc::clone(&storage)));
        Self { store, storage, dir: None }
    }

    fn durable() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let storage = Arc::new(LocalStorage::open(dir.path(), Durability::Process).unwrap());
        Self { store: open(dir.path()), storage, dir: Some(dir) }
    }

    fn both() -> [Self; 2] {
        [Self::in_memory(), Self::durable()]
    }

    /// Opens the store anew; one in memory stays.
    fn reopen(&mut self) {
        if let Some(dir) = &self.dir {
            self.store = open(dir.path());
        }
    }

    /// What has a payload's name.
    fn payloads(&self) -> usize {
        self.storage.list(Some(&Key::new("blobs").unwrap())).unwrap().count()
    }

    fn damage(&self, payload: &[u8], how: Damage) {
        self.damage_object(&Blobs::key(&Digest::of(payload)).unwrap(), how);
    }

    fn damage_object(&self, key: &Key, how: Damage) {
        let Some(object) = self.storage.get(key).unwrap() else { return };
        let mut bytes = object.into_bytes().to_vec();
        match how {
            Damage::Remove => return assert!(self.storage.remove(key).unwrap()),
            // Twice the same damage is still damage.
            Damage::Flip => bytes[0] |= 0x80,
            Damage::Cut => bytes.truncate(8),
        }
        self.storage.put(key, bytes.into(), PutIf::Always).unwrap();
    }
}

fn open(dir: &Path) -> Bytestore {
    let options = Options::default().durability(Durability::Scratch);
    ProvenanceStore::open(dir, options).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    Remove,
    Flip,
    Cut,
}

fn made(operation: &str) -> Provenance {
    Provenance::new(operation).param("window", 500)
}

fn payload(n: u32) -> Vec<u8> {
    format!("payload {n}").into_bytes()
}

#[test]
fn is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<ProvenanceStore<std::cell::Cell<u8>>>();
    shared::<(Records<'_>, Outcome<Vec<u8>>, Stored<Vec<u8>>, Options, Status, VerifyReport)>();
    shared::<(
        crate::TrackStore,
        crate::GenomeStore,
        crate::StoredTrack,
        crate::StoredGenome,
        crate::Value,
    )>();
}

#[test]
fn what_is_put_comes_back_whole() {
    for bench in Bench::both() {
        let provenance = made("op").input(Digest::of(b"x"));
        let before = SystemTime::now();
        let id = bench.store.put(payload(1), Some(provenance.clone())).unwrap();
        let stored = bench.store.get(id).unwrap().unwrap();
        assert!(before <= stored.created_at && stored.created_at <= SystemTime::now());
        assert_eq!((stored.id, &stored.payload, stored.kind), (id, &payload(1), "bytes"));
        assert_eq!(stored.provenance.as_ref(), Some(&provenance));
        let record = bench.store.list().next().unwrap().unwrap();
        assert_eq!(record.payload, Digest::of(&payload(1)));
        assert_eq!((record.id, record.payload_len, record.provenance), (id, 9, Some(provenance)));
        assert_eq!(bench.store.get(Id::next()).unwrap(), None);
    }
}

#[test]
fn thirty_two_threads_that_put_one_provenance_get_one_id() {
    for bench in Bench::both() {
        let (start, ids) = (Barrier::new(32), Mutex::new(HashSet::new()));
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    start.wait();
                    let id = bench.store.put(payload(1), Some(made("op"))).unwrap();
                    ids.lock().unwrap().insert(id);
                });
            }
        });
        assert_eq!(ids.into_inner().unwrap().len(), 1);
        assert_eq!(bench.store.len().unwrap(), 1);
        assert!(bench.store.verify().unwrap().is_clean());
    }
}

#[test]
fn one_of_sixteen_threads_computes() {
    for bench in Bench::both() {
        // Two values on one directory stand for two processes.
        let other = bench.dir.as_ref().map_or_else(|| bench.store.clone(), |dir| open(dir.path()));
        let (start, runs, computed) = (Barrier::new(16), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for n in 0..16 {
                let store = if n % 2 == 0 { &bench.store } else { &other };
                let (start, runs, computed) = (&start, &runs, &computed);
                scope.spawn(move || {
                    start.wait();
                    let outcome = store.get_or_compute(&made("op"), || {
                        Ok(payload(runs.fetch_add(1, Ordering::SeqCst)))
                    });
                    let outcome = outcome.unwrap();
                    assert_eq!(outcome.payload, payload(0));
                    computed.fetch_add(u32::from(outcome.computed), Ordering::SeqCst);
                });
            }
        });
        assert_eq!((runs.into_inner(), computed.into_inner()), (1, 1));
    }
}

#[test]
fn records_that_share_a_payload_do_not_lose_it_to_each_other() {
    for bench in Bench::both() {
        let ids = [0, 1].map(|_| bench.store.put(payload(1), None).unwrap());
        assert_ne!(ids[0], ids[1]);
        assert_eq!(bench.store.status().unwrap().payloads, 1);
        assert!(bench.store.delete(ids[0]).unwrap());
        assert!(!bench.store.delete(ids[0]).unwrap());
        assert_eq!(bench.store.get(ids[1]).unwrap().unwrap().payload, payload(1));
        assert!(bench.store.delete(ids[1]).unwrap());
        assert_eq!(bench.payloads(), 0);
    }
}

#[test]
fn deleting_and_storing_one_payload_at_once_loses_nothing() {
    for bench in Bench::both() {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let id = bench.store.put(payload(1), None).unwrap();
                        assert_eq!(bench.store.get(id).unwrap().unwrap().payload, payload(1));
                        assert!(bench.store.delete(id).unwrap());
                    }
                });
            }
        });
        assert_eq!(bench.payloads(), 0);
    }
}

#[test]
fn a_failure_is_not_kept_and_a_panic_hands_over() {
    for bench in Bench::both() {
        let fail = || Err(Error::new(ErrorKind::Full, "no room"));
        let error = bench.store.get_or_compute(&made("op"), fail).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
        let panics =
            AssertUnwindSafe(|| bench.store.get_or_compute(&made("op"), || panic!("on purpose")));
        assert!(catch_unwind(panics).is_err());
        assert!(bench.store.is_empty().unwrap());
        assert!(bench.store.get_or_compute(&made("op"), || Ok(payload(1))).unwrap().computed);
    }
}

#[test]
fn work_may_ask_for_other_results_but_not_for_itself() {
    for bench in Bench::both() {
        let outcome = bench.store.get_or_compute(&made("outer"), || {
            let inner = bench
                .store
                .get_or_compute(&made("outer"), || unreachable!("it would wait for itself"));
            assert_eq!(inner.unwrap_err().kind(), ErrorKind::Locked);
            bench.store.get_or_compute(&made("inner"), || Ok(payload(1))).map(|inner| inner.payload)
        });
        assert_eq!(outcome.unwrap().payload, payload(1));
        assert_eq!(bench.store.len().unwrap(), 2);
    }
}

#[test]
fn results_that_ask_for_each_other_end() {
    for bench in Bench::both() {
        let both_work = Barrier::new(2);
        let ask = &|this: &'static str, other: &'static str| {
            bench.store.get_or_compute(&made(this), || {
                both_work.wait();
                bench.store.get_or_compute(&made(other), || {
                    // Of the other thread, whose work has failed by now.
                    bench.store.get_or_compute(&made(this), || unreachable!("it is under way"))?;
                    Ok(payload(1))
                })?;
                Ok(payload(1))
            })
        };
        let outcomes = thread::scope(|scope| {
            let outcomes = [("a", "b"), ("b", "a")].map(|(a, b)| scope.spawn(move || ask(a, b)));
            outcomes.map(|outcome| outcome.join().unwrap().map(|outcome| outcome.computed))
        });
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Locked);
        }
    }
}

#[test]
fn another_result_of_one_provenance_is_refused() {
    for bench in Bench::both() {
        let id = bench.store.put(payload(1), Some(made("op"))).unwrap();
        assert_eq!(bench.store.put(payload(1), Some(made("op"))).unwrap(), id);
        let error = bench.store.put(payload(2), Some(made("op"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NonDeterministic);
        assert!(error.to_string().contains(&id.to_string()), "{error}");
        // A put during the work comes first.
        let compute = |n| {
            let outcome = bench.store.get_or_compute(&made("other"), || {
                bench.store.put(payload(1), Some(made("other")))?;
                Ok(payload(n))
            });
            outcome.map(|outcome| outcome.id)
        };
        assert_eq!(compute(2).unwrap_err().kind(), ErrorKind::NonDeterministic);
        assert_eq!(Some(compute(2).unwrap()), bench.store.find(&made("other")).unwrap());
        assert_eq!(bench.store.get(id).unwrap().unwrap().payload, payload(1));
        // What was not taken is not kept.
        assert_eq!(bench.payloads(), 1);
    }
}

#[test]
fn kinds_share_a_directory_and_never_meet() {
    for bench in Bench::both() {
        let id = bench.store.put(payload(1), Some(made("op"))).unwrap();
        let json = bench.store.view::<Json<Vec<u8>>>();
        assert_eq!(json.find(&made("op")).unwrap(), None);
        assert_ne!(json.put(Json(vec![1]), Some(made("op"))).unwrap(), id);
        for kind in [json.get(id).unwrap_err().kind(), json.delete(id).unwrap_err().kind()] {
            assert_eq!(kind, ErrorKind::Invalid);
        }
        assert_eq!(bench.store.view::<Genome>().get(id).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!((bench.store.len().unwrap(), json.list().count()), (1, 1));
        let status = bench.store.status().unwrap();
        assert_eq!((status.records, status.kinds["bytes"], status.kinds["json"]), (2, 1, 1));
    }
}

#[test]
fn bytes_and_explanations_are_of_any_kind() {
    for bench in Bench::both() {
        let store = bench.store.view::<Json<u32>>();
        let id = store.put(Json(7), Some(made("seven"))).unwrap();
        assert_eq!(bench.store.bytes(id).unwrap().unwrap(), "7");
        assert_eq!(bench.store.bytes(Id::next()).unwrap(), None);
        let explain = |kind: &str| bench.store.explain_miss_of(kind, &made("seven")).unwrap();
        assert_eq!(explain("json"), Explanation::Hit(id));
        assert_eq!(explain("bytes"), Explanation::Unknown);
    }
}

#[test]
fn a_store_is_known_before_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!crate::is_store(dir.path()));
    drop(open(dir.path()));
    assert!(crate::is_store(dir.path()));
}

#[test]
fn json_of_another_type_is_refused() {
    let bench = Bench::durable();
    let id = bench.store.view::<Json<String>>().put(Json("reef".to_owned()), None).unwrap();
    assert_eq!(bench.store.view::<Json<String>>().get(id).unwrap().unwrap().payload.0, "reef");
    assert_eq!(bench.store.view::<Json<u8>>().get(id).unwrap_err().kind(), ErrorKind::Format);
}

#[derive(Debug)]
struct FromTheFuture;

impl Payload for FromTheFuture {
    const KIND: &'static str = PlacedTrack::KIND;
    const VERSION: u32 = PlacedTrack::VERSION + 1;

    fn encode(&self) -> Result<Encoded> {
        Ok(Encoded::new("new"))
    }

    fn decode(_: Encoded, _: u32) -> Result<Self> {
        Ok(Self)
    }
}

#[test]
fn a_payload_of_a_newer_version_is_refused_and_kept() {
    for bench in Bench::both() {
        let id = bench.store.view::<FromTheFuture>().put(FromTheFuture, Some(made("op"))).unwrap();
        let tracks = bench.store.view::<PlacedTrack>();
        let error = tracks.get(id).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.to_string().contains("upgrade"), "{error}");
        let compute = || unreachable!("the result is there");
        assert_eq!(
            tracks.get_or_compute(&made("op"), compute).unwrap_err().kind(),
            ErrorKind::Format
        );
        assert!(bench.store.view::<FromTheFuture>().get(id).unwrap().is_some());
    }
}

#[test]
fn listings_are_whole_and_in_order_over_many_pages() {
    let bench = Bench::in_memory();
    let ids: Vec<_> = (0..2500).map(|n| bench.store.put(payload(n % 7), None).unwrap()).collect();
    let listed: Vec<_> = bench.store.list().map(|record| record.unwrap().id).collect();
    assert_eq!(listed, ids);
}

#[test]
fn a_local_directory_holds_what_the_documentation_says() {
    let dir = tempfile::tempdir().unwrap();
    let store =
        Bytestore::open(dir.path(), Options::default().durability(Durability::Power)).unwrap();
    let id = store.put(payload(1), Some(made("op"))).unwrap();
    drop(store);
    let storage = LocalStorage::open(dir.path(), Durability::Process).unwrap();
    let digest = Digest::of(&payload(1)).to_string();
    let path = format!("blobs/{}/{digest}", &digest[..2]);
    let text = storage.get_text(&larder_storage::Key::new(path).unwrap()).unwrap();
    assert_eq!(text.as_deref(), Some("payload 1"));
    let store = Bytestore::open(dir.path(), Options::default()).unwrap();
    assert_eq!(store.find(&made("op")).unwrap(), Some(id));
    assert!(store.status().unwrap().durable);
}

#[test]
fn a_relative_directory_is_pinned_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(dir.path().strip_prefix("/").unwrap());
    let storage = Arc::new(MemoryStorage::new());
    let store = Bytestore::on(storage, &relative, Options::default()).unwrap();
    let flights = format!("{:?}", here.join(&relative).join(".larder/flights"));
    assert!(relative.is_relative());
    let locks = format!("{:?}", store.backend);
    assert!(locks.contains(&flights), "{locks}");
}

#[test]
fn at_power_no_payload_is_taken_as_written_because_it_is_there() {
    for (durability, is_written) in [(Durability::Power, true), (Durability::Process, false)] {
        let dir = tempfile::tempdir().unwrap();
        let store = Bytestore::open(dir.path(), Options::default().durability(durability)).unwrap();
        let modified = || store.backend.blobs.list().unwrap().next().unwrap().unwrap().1.modified;
        store.put(payload(1), None).unwrap();
        let first = modified();
        // Another writer may have made it visible, and not yet durable.
        store.put(payload(1), None).unwrap();
        assert_eq!(modified() > first, is_written, "{durability:?}");
    }
}
