//! The lease of one key as an object, changed by compare-and-swap alone.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Digest, Error, ErrorKind, Key, PutIf, Result, Storage, Version, json};

/// The version of a lease as an object.
pub(super) const LEASE_FORMAT_VERSION: u32 = 1;
/// One write, and a second look at what became of it, and once more.
const ROUNDS: usize = 3;

/// Who holds a lease, or held it last.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Record {
    format: u32,
    pub(super) state: State,
    /// Different for each time that anybody takes any lease.
    pub(super) owner: Box<str>,
    /// One more for each time that this lease is taken.
    pub(super) fence: u64,
    /// Changes with each renewal, and nothing else does.
    beat: u64,
    lease_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Held,
    Released,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Record {
    pub(super) fn held(owner: &str, fence: u64, lease: Duration) -> Self {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        Self {
            format: LEASE_FORMAT_VERSION,
            state: State::Held,
            owner: owner.into(),
            fence,
            beat: 0,
            lease_ms,
        }
    }

    /// How long its holder may be silent before somebody else takes it.
    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let damaged = |error| {
            Error::new(ErrorKind::Corrupt, "is no lease: remove it while nobody works on its key")
                .with_source(error)
        };
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.format != LEASE_FORMAT_VERSION {
            let message = format!(
                "is a lease of format {}, this version knows {LEASE_FORMAT_VERSION}: upgrade Larder",
                head.format
            );
            return Err(Error::new(ErrorKind::Format, message));
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }
}

/// The object of one lease.
#[derive(Clone, Debug)]
pub(super) struct Place {
    storage: Arc<dyn Storage>,
    at: Key,
}

impl Place {
    pub(super) fn new(storage: &Arc<dyn Storage>, key: &str) -> Result<Self> {
        let at = Key::new(format!("flights/{}", Digest::of(key.as_bytes())))?;
        Ok(Self { storage: Arc::clone(storage), at })
    }

    pub(super) fn read(&self) -> Result<Option<(Record, Version)>> {
        let Some(object) = self.storage.get(&self.at)? else { return Ok(None) };
        let record = Record::parse(object.bytes()).map_err(|error| error.at_key(&self.at))?;
        Ok(Some((record, object.version().clone())))
    }

    /// Writes the record; `false` where the condition does not hold.
    pub(super) fn write(&self, record: &Record, when: PutIf) -> Result<bool> {
        match self.storage.put(&self.at, json::encode(record)?.into(), when) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Renews the lease of `owner`, or releases it; `false` where it is no longer theirs.
    pub(super) fn advance(&self, owner: &str, state: State) -> Result<bool> {
        let mut tried = None;
        for _ in 0..ROUNDS {
            let Some((found, version)) = self.read()? else { return Ok(false) };
            // A refused write that is there all the same: the answer to one's own success was lost.
            if tried.as_ref() == Some(&found) {
                return Ok(true);
            }
            if *found.owner != *owner || found.state != State::Held {
                return Ok(false);
            }
            let next = Record { state, beat: found.beat.wrapping_add(1), ..found };
            if self.write(&next, PutIf::Version(version))? {
                return Ok(true);
            }
            tried = Some(next);
        }
        let message = "refuses every renewal of this lease, though nobody else changes it";
        Err(Error::new(ErrorKind::Backend, message).at_key(&self.at))
    }

    pub(super) fn lost(&self) -> Error {
        let message =
            "the lease was taken over meanwhile: throw this result away and look for the other";
        Error::new(ErrorKind::Conflict, message).at_key(&self.at)
    }

    pub(super) fn worn_out(&self) -> Error {
        Error::new(ErrorKind::Corrupt, "the fence of this lease is at its end").at_key(&self.at)
    }
}
