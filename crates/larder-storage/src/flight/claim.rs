//! Taking the lease of one key on a storage, holding it and letting it go.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle, ThreadId},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    record::{Place, Record, State},
    slot::{lock, reentered},
};
use crate::{Error, PutIf, Result};

/// However long leases are, a silent holder is noticed this soon after the end of its lease.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const RENEWALS_IN_A_LEASE: u32 = 3;
const LOOKS_IN_A_LEASE: u32 = 10;

/// The owners of this process, so that a thread that waits for itself is told, through whatever storage it asks.
static OWNERS: Mutex<BTreeMap<Box<str>, ThreadId>> = Mutex::new(BTreeMap::new());

/// A name for one taking of one lease.
#[derive(Debug)]
struct Owner(Box<str>);

impl Owner {
    fn new() -> Self {
        let name: Box<str> = Uuid::new_v4().simple().to_string().into();
        lock(&OWNERS).insert(name.clone(), thread::current().id());
        Self(name)
    }

    fn is_this_thread(name: &str) -> bool {
        lock(&OWNERS).get(name) == Some(&thread::current().id())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        lock(&OWNERS).remove(&self.0);
    }
}

/// Somebody who wants the lease.
///
/// No clock of another machine is ever read: a holder counts as gone when its record has not changed for the length
/// of its lease by the clock of whoever looks, which only goes forward.
#[derive(Debug)]
pub(super) struct Claim {
    place: Place,
    key: Box<str>,
    owner: Owner,
    lease: Duration,
    seen: Option<(Record, Instant)>,
}

/// What came of one look at the lease.
#[derive(Debug)]
pub(super) enum Look {
    /// It is ours, with this fence.
    Taken(u64),
    /// It is not free, and will not be taken over for this long.
    Held(Duration),
    /// Another claim came first.
    Raced,
}

impl Claim {
    pub(super) fn new(place: Place, key: &str, lease: Duration) -> Self {
        Self { place, key: key.into(), owner: Owner::new(), lease, seen: None }
    }

    /// Takes the lease where it is free or its holder has been silent for too long.
    pub(super) fn look(&mut self, now: impl Fn() -> Instant) -> Result<Look> {
        let found = self.place.read()?;
        let (last, when) = match found {
            None => (0, PutIf::Absent),
            Some((record, version)) => {
                // The answer to an earlier look's success was lost.
                if record.owner == self.owner.0 && record.state == State::Held {
                    return Ok(Look::Taken(record.fence));
                }
                let last = record.fence;
                if record.state == State::Held {
                    if Owner::is_this_thread(&record.owner) {
                        return Err(reentered(&self.key));
                    }
                    // The clock is read after the record, so it never gives the holder too little.
                    let left = self.left(record, now());
                    if !left.is_zero() {
                        return Ok(Look::Held(left));
                    }
                }
                (last, PutIf::Version(version))
            }
        };
        let fence = last.checked_add(1).ok_or_else(|| self.place.worn_out())?;
        let record = Record::held(&self.owner.0, fence, self.lease);
        Ok(if self.place.write(&record, when)? { Look::Taken(fence) } else { Look::Raced })
    }

    /// How long `record` has to stay as it is before it counts as left behind.
    fn left(&mut self, record: Record, now: Instant) -> Duration {
        let since = match &self.seen {
            Some((seen, since)) if *seen == record => *since,
            _ => now,
        };
        let left = record.lease().saturating_sub(now.saturating_duration_since(since));
        self.seen = Some((record, since));
        left
    }

    /// Looks again and again until the lease is ours.
    pub(super) fn wait(mut self) -> Result<Held> {
        let longest = (self.lease / LOOKS_IN_A_LEASE).min(LONGEST_PAUSE);
        let mut pause = longest / 16;
        loop {
            let left = match self.look(Instant::now)? {
                Look::Taken(fence) => return Held::new(self.grip(fence)),
                Look::Held(left) => left,
                Look::Raced => longest,
            };
            thread::sleep(jittered(pause).min(left));
            pause = (pause * 2).min(longest);
        }
    }

    /// Takes the lease where it is free now, or its holder is silent for a whole lease.
    pub(super) fn ask(mut self) -> Result<Option<Held>> {
        match self.look(Instant::now)? {
            Look::Taken(fence) => Held::new(self.grip(fence)).map(Some),
            Look::Held(_) | Look::Raced => Ok(None),
        }
    }

    pub(super) fn grip(self, fence: u64) -> Grip {
        Grip {
            place: self.place,
            owner: self.owner,
            lease: self.lease,
            fence,
            lost: Mutex::new(false),
        }
    }
}

/// Between half of `pause` and all of it, so that those who wait do not look all at once.
fn jittered(pause: Duration) -> Duration {
    let share = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + share / 2.0)
}

/// A taken lease, which stays taken only while somebody renews it.
#[derive(Debug)]
pub(super) struct Grip {
    place: Place,
    owner: Owner,
    lease: Duration,
    fence: u64,
    // Held while the record is written, so that a renewal never overtakes the release.
    lost: Mutex<bool>,
}

impl Grip {
    /// After it, nobody takes the lease over for its length from the start of this call.
    pub(super) fn renew(&self) -> Result<()> {
        self.advance(State::Held)
    }

    /// The next one need not wait for the end of the lease.
    pub(super) fn release(&self) -> Result<()> {
        self.advance(State::Released)
    }

    fn advance(&self, state: State) -> Result<()> {
        let mut lost = lock(&self.lost);
        *lost = *lost || !self.place.advance(&self.owner.0, state)?;
        if *lost { Err(self.place.lost()) } else { Ok(()) }
    }

    fn is_lost(&self) -> bool {
        *lock(&self.lost)
    }
}

/// A lease that a thread of its own renews until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    grip: Arc<Grip>,
    stop: Option<Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

impl Held {
    fn new(grip: Grip) -> Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let mut held = Self { grip: Arc::new(grip), stop: Some(stop), heart: None };
        let grip = Arc::clone(&held.grip);
        let heart = thread::Builder::new()
            .name("larder-lease".into())
            .spawn(move || beat(&grip, &stopped))
            .map_err(|error| Error::io(error, "cannot start the thread that renews a lease"))?;
        held.heart = Some(heart);
        Ok(held)
    }

    pub(super) fn fence(&self) -> u64 {
        self.grip.fence
    }

    pub(super) fn check(&self) -> Result<()> {
        self.grip.renew()
    }
}

fn beat(grip: &Grip, stop: &Receiver<()>) {
    let every = grip.lease / RENEWALS_IN_A_LEASE;
    while stop.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        // A storage that fails now may work at the next beat.
        let _ = grip.renew();
        if grip.is_lost() {
            return;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
        // A lease that cannot be released ends by itself.
        let _ = self.grip.release();
    }
}
