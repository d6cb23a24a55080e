//! Leases on a storage: by hand, with a clock that only the test moves.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Instant,
};

use proptest::prelude::*;

use super::*;
use crate::{
    Bytes, Entries, Keys, MemoryStorage, Object, ReadAt, StorageExt, Upload,
    flight::claim::{Grip, Look},
};

pub(super) const LEASE: Duration = Duration::from_secs(30);

fn claim(storage: &Arc<dyn Storage>) -> Claim {
    Claim::new(Place::new(storage, "k").unwrap(), "k", LEASE)
}

/// A claim of another thread, so that it is not refused as re-entry.
pub(super) fn foreign(storage: &Arc<dyn Storage>) -> Claim {
    thread::scope(|scope| scope.spawn(|| claim(storage)).join().unwrap())
}

pub(super) fn memory() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new())
}

fn lease_key() -> Key {
    Key::new(format!("flights/{}", Digest::of(b"k"))).unwrap()
}

fn flights(storage: &Arc<dyn Storage>) -> Flights {
    Flights::on(Arc::clone(storage), Options::default().lease(LEASE)).unwrap()
}

#[test]
fn one_of_many_threads_runs_and_the_lease_is_left_released() {
    let storage = memory();
    let (runs, start, done) = (AtomicU32::new(0), Barrier::new(8), Key::new("done").unwrap());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let flights = flights(&storage);
                start.wait();
                let lease = flights.enter("k").unwrap();
                if storage.get(&done).unwrap().is_none() {
                    runs.fetch_add(1, Ordering::SeqCst);
                    lease.publish(&*storage, &done, "x".into(), None).unwrap();
                }
            });
        }
    });
    assert_eq!(runs.into_inner(), 1);
    let left: serde_json::Value = storage.get_json(&lease_key()).unwrap().unwrap();
    assert_eq!((&left["state"], &left["fence"]), (&"released".into(), &8.into()), "{left}");
}

#[test]
fn a_silent_holder_is_taken_over_after_its_lease_and_fenced_off() {
    let (storage, start) = (memory(), Instant::now());
    let at = |seconds| move || start + Duration::from_secs(seconds);
    let mut first = claim(&storage);
    assert!(matches!(first.look(at(0)).unwrap(), Look::Taken(1)));
    let first = first.grip(1);

    let mut second = foreign(&storage);
    // What it sees first may be as old as it likes: the lease is waited for from here on.
    let first = thread::scope(|scope| {
        scope
            .spawn(move || {
                assert!(
                    matches!(second.look(at(1000)).unwrap(), Look::Held(left) if left == LEASE)
                );
                first.renew().unwrap();
                assert!(
                    matches!(second.look(at(1030)).unwrap(), Look::Held(left) if left == LEASE)
                );
                let Look::Held(left) = second.look(at(1059)).unwrap() else {
                    panic!("taken early")
                };
                assert_eq!(left, Duration::from_secs(1));
                // A clock that jumps back gives the holder more time, never less.
                assert!(matches!(second.look(at(0)).unwrap(), Look::Held(_)));
                assert!(matches!(second.look(at(1060)).unwrap(), Look::Taken(2)));
                assert_eq!(first.renew().unwrap_err().kind(), ErrorKind::Conflict);
                let second = second.grip(2);
                assert_eq!(first.release().unwrap_err().kind(), ErrorKind::Conflict);
                second.renew().expect("the release of the first one left it alone");
                first
            })
            .join()
            .unwrap()
    });
    assert_eq!(first.renew().unwrap_err().kind(), ErrorKind::Conflict, "and for good");
}

#[test]
fn a_fenced_holder_publishes_nothing_even_before_its_follower_does() {
    let (storage, key) = (memory(), Key::new("result").unwrap());
    let flights = flights(&storage);
    let lease = flights.enter("k").unwrap();
    assert_eq!(lease.fence(), Some(1));
    let mut record: serde_json::Value = storage.get_json(&lease_key()).unwrap().unwrap();
    record["owner"] = "another".into();
    record["fence"] = 2.into();
    storage.put_json(&lease_key(), &record, PutIf::Always).unwrap();
    let refused = lease.publish(&*storage, &key, "late".into(), None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(storage.get(&key).unwrap().is_none());
    drop(lease);
    let kept: serde_json::Value = storage.get_json(&lease_key()).unwrap().unwrap();
    assert_eq!(kept, record, "the follower's lease is left alone");
}

#[test]
fn a_result_is_replaced_only_where_it_is_still_what_the_holder_saw() {
    let (storage, key) = (memory(), Key::new("result").unwrap());
    let flights = flights(&storage);
    let lease = flights.enter("k").unwrap();
    lease.publish(&*storage, &key, "1".into(), None).unwrap();
    let seen = storage.get(&key).unwrap().unwrap();
    lease.publish(&*storage, &key, "2".into(), Some(seen.version())).unwrap();
    for stale in [None, Some(seen.version())] {
        let lost = lease.publish(&*storage, &key, "3".into(), stale).unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Conflict);
    }
    assert_eq!(storage.get_text(&key).unwrap().as_deref(), Some("2"));
}

#[test]
fn asking_from_inside_is_an_error_through_any_value_and_any_handle() {
    let memory = MemoryStorage::new();
    let (one, other): (Arc<dyn Storage>, Arc<dyn Storage>) =
        (Arc::new(memory.clone()), Arc::new(memory));
    let (ours, theirs) = (flights(&one), flights(&other));
    let lease = ours.enter("k").unwrap();
    for flights in [&ours, &theirs] {
        assert_eq!(flights.enter("k").unwrap_err().kind(), ErrorKind::Locked);
        drop(flights.enter("free").unwrap());
    }
    drop(lease);
    drop(theirs.enter("k").unwrap());
}

#[test]
fn bad_leases_are_named_and_left_alone() {
    let short = Options::default().lease(Duration::ZERO);
    assert_eq!(Flights::on(memory(), short).unwrap_err().kind(), ErrorKind::Invalid);
    let worn = r#"{"format":1,"state":"released","owner":"a","fence":18446744073709551615,"beat":0,"lease_ms":1}"#;
    for (bytes, kind) in [
        ("", ErrorKind::Corrupt),
        ("[1]", ErrorKind::Corrupt),
        (r#"{"format":1}"#, ErrorKind::Corrupt),
        (r#"{"format":2,"new":true}"#, ErrorKind::Format),
        (worn, ErrorKind::Corrupt),
    ] {
        let storage = memory();
        storage.put(&lease_key(), bytes.into(), PutIf::Always).unwrap();
        let refused = flights(&storage).enter("k").unwrap_err();
        assert_eq!((refused.kind(), refused.key()), (kind, Some(&lease_key())), "{bytes}");
        assert_eq!(storage.get_text(&lease_key()).unwrap().as_deref(), Some(bytes));
    }
}

/// Says `Conflict` to each conditional write that succeeded, as a retried request does whose first answer was lost.
#[derive(Debug)]
struct Forgetful(MemoryStorage);

impl Storage for Forgetful {
    fn get(&self, key: &Key) -> Result<Option<Object>> {
        self.0.get(key)
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>> {
        self.0.get_range(key, offset, len)
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>> {
        self.0.open(key)
    }

    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()> {
        self.0.put(key, bytes, when)?;
        Err(Error::new(ErrorKind::Conflict, "the answer was lost").at_key(key))
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.0.create(key)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.0.remove(key)
    }

    fn keys(&self, prefix: Option<&Key>) -> Result<Keys<'_>> {
        self.0.keys(prefix)
    }

    fn list(&self, prefix: Option<&Key>) -> Result<Entries<'_>> {
        self.0.list(prefix)
    }

    fn local_root(&self) -> Option<&Path> {
        None
    }
}

#[test]
fn a_success_whose_answer_was_lost_is_a_success() {
    let storage: Arc<dyn Storage> = Arc::new(Forgetful(MemoryStorage::new()));
    let mut first = claim(&storage);
    assert!(matches!(first.look(Instant::now).unwrap(), Look::Raced));
    assert!(matches!(first.look(Instant::now).unwrap(), Look::Taken(1)));
    let first = first.grip(1);
    first.renew().unwrap();
    first.release().unwrap();
    let left: serde_json::Value = storage.get_json(&lease_key()).unwrap().unwrap();
    assert_eq!((&left["state"], &left["beat"]), (&"released".into(), &2.into()), "{left}");
}

/// Somebody in the model, on a clock that all share.
enum Actor {
    Waiting(Claim),
    /// With its fence.
    Working(Grip, u64),
}

/// Runs one step; each is `(actor, what, seconds that pass before it)`.
fn step(actors: &mut [Actor], world: &mut World, (who, what, passed): (usize, u8, u64)) {
    world.now += passed;
    let now = world.start + Duration::from_secs(world.now);
    let actor = &mut actors[who];
    let next = match (actor, what) {
        (Actor::Waiting(claim), _) => match claim.look(|| now).unwrap() {
            Look::Taken(fence) => {
                assert!(fence > world.fence, "fences grow");
                let free = world.holder.is_none_or(|renewed| world.now - renewed >= 30);
                assert!(free, "taken from a holder that was not silent for its lease");
                (world.fence, world.holder) = (fence, Some(world.now));
                let fresh = foreign(&world.storage);
                let Actor::Waiting(claim) =
                    std::mem::replace(&mut actors[who], Actor::Waiting(fresh))
                else {
                    unreachable!("it waited");
                };
                Actor::Working(claim.grip(fence), fence)
            }
            Look::Held(_) | Look::Raced => return,
        },
        (Actor::Working(grip, fence), 0) => {
            let ours = *fence == world.fence;
            assert_eq!(grip.renew().is_ok(), ours, "exactly the last to take it holds it");
            if ours {
                world.holder = Some(world.now);
            }
            return;
        }
        (Actor::Working(grip, fence), 1) => {
            if *fence == world.fence {
                world.holder = None;
            }
            let _ = grip.release();
            Actor::Waiting(foreign(&world.storage))
        }
        // Dies, or is paused for good.
        (Actor::Working(..), 2) => Actor::Waiting(foreign(&world.storage)),
        (Actor::Working(..), _) => return,
    };
    actors[who] = next;
}

struct World {
    storage: Arc<dyn Storage>,
    start: Instant,
    now: u64,
    fence: u64,
    holder: Option<u64>,
}

proptest! {
    #[test]
    fn however_actors_are_paused_one_holds_the_lease(
        steps in proptest::collection::vec((0..4_usize, 0..5_u8, 0..20_u64), 1..80),
    ) {
        let storage = memory();
        let mut actors: Vec<_> = (0..4).map(|_| Actor::Waiting(foreign(&storage))).collect();
        let mut world = World { storage, start: Instant::now(), now: 0, fence: 0, holder: None };
        for taken in steps {
            step(&mut actors, &mut world, taken);
        }
    }
}

#[test]
fn a_holder_renews_by_itself_and_stops_when_it_lets_go() {
    let storage = memory();
    let short = Options::default().lease(SHORTEST_LEASE);
    let flights = Flights::on(Arc::clone(&storage), short).unwrap();
    let record = || storage.get_json::<serde_json::Value>(&lease_key()).unwrap().unwrap();
    let (lease, start) = (flights.enter("k").unwrap(), Instant::now());
    while record()["beat"].as_u64().unwrap() < 3 {
        assert!(start.elapsed() < Duration::from_secs(30), "no renewal: {}", record());
        thread::yield_now();
    }
    assert_eq!(lease.fence(), Some(1));
    drop(lease);
    assert_eq!(record()["state"], "released");
    assert_eq!(Arc::strong_count(&storage), 2, "the thread that renews is gone");
}

#[test]
fn leases_can_be_held_and_shared_anywhere() {
    fn check<T: Send + Sync>() {}
    check::<Flights>();
    check::<Lease<'_>>();
    check::<Options>();
}
