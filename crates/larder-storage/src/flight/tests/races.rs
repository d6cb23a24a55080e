//! Two who are at one lease at once: another claim comes between a look and the write that follows it.

use std::{
    sync::mpsc::{self, Receiver},
    time::Instant,
};

use super::{
    objects::{LEASE, foreign},
    *,
};
use crate::{
    MemoryStorage,
    flight::claim::{Grip, Look},
    testing::{MeddledStorage, Moment},
};

/// A lease on a storage of two handles: through the first, `rival` takes the lease before the next write.
struct Scene {
    meddled: Arc<MeddledStorage>,
    plain: Arc<dyn Storage>,
    start: Instant,
}

impl Scene {
    fn new() -> Self {
        let objects = MemoryStorage::new();
        let meddled = Arc::new(MeddledStorage::new(objects.clone()));
        Self { meddled, plain: Arc::new(objects), start: Instant::now() }
    }

    fn claim(&self) -> Claim {
        foreign(&(Arc::clone(&self.meddled) as Arc<dyn Storage>))
    }

    fn after(&self, lease: Duration) -> impl Fn() -> Instant + use<> {
        let then = self.start + lease;
        move || then
    }

    /// Has `rival` take the lease when the time comes; its grip comes through the channel.
    fn let_in(
        &self,
        mut rival: Claim,
        now: impl Fn() -> Instant + Send + 'static,
    ) -> Receiver<Grip> {
        let (give, taken) = mpsc::channel();
        self.meddled.meddle(Moment::Put, move || {
            let Look::Taken(fence) = rival.look(now).unwrap() else { panic!("the lease is free") };
            give.send(rival.grip(fence)).unwrap();
        });
        taken
    }
}

#[test]
fn of_two_who_find_a_lease_that_nobody_ever_held_one_takes_it() {
    let scene = Scene::new();
    let taken = scene.let_in(foreign(&scene.plain), Instant::now);
    assert!(matches!(scene.claim().look(Instant::now).unwrap(), Look::Raced));
    taken.recv().unwrap().renew().expect("the first to write holds it");
}

#[test]
fn of_two_who_wait_for_the_end_of_a_lease_one_takes_it() {
    let scene = Scene::new();
    let (mut silent, mut late) = (foreign(&scene.plain), scene.claim());
    let mut rival = foreign(&scene.plain);
    assert!(matches!(silent.look(scene.after(Duration::ZERO)).unwrap(), Look::Taken(1)));
    for waiting in [&mut late, &mut rival] {
        assert!(matches!(waiting.look(scene.after(Duration::ZERO)).unwrap(), Look::Held(_)));
    }
    let taken = scene.let_in(rival, scene.after(LEASE));
    assert!(matches!(late.look(scene.after(LEASE)).unwrap(), Look::Raced));
    taken.recv().unwrap().renew().expect("the first to write holds it");
}

#[test]
fn a_holder_who_renews_while_it_is_taken_over_has_lost_it() {
    let scene = Scene::new();
    let (mut holder, mut rival) = (scene.claim(), foreign(&scene.plain));
    assert!(matches!(holder.look(scene.after(Duration::ZERO)).unwrap(), Look::Taken(1)));
    assert!(matches!(rival.look(scene.after(Duration::ZERO)).unwrap(), Look::Held(_)));
    let taken = scene.let_in(rival, scene.after(LEASE));
    let lost = holder.grip(1).renew().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Conflict);
    taken.recv().unwrap().renew().expect("the renewal left the new holder alone");
}
