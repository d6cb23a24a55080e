//! What all who have a root open agree on.

use std::{path::Path, time::Duration};

use larder_storage::{Error, ErrorKind, Result, lock::FileLock};
use serde::{Deserialize, Serialize};

use crate::{Measure, Options, index::Index, policy};

/// What the index records of the options, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    evict_above: u64,
    limit: Option<u64>,
    interval_ns: u64,
    ttl_ns: Option<u64>,
    policy: String,
    measure: Measure,
}

impl Settings {
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            evict_above: options.evict_above,
            limit: options.limit,
            interval_ns: ns(options.interval),
            ttl_ns: options.ttl.map(ns),
            policy: format!("{:?}", options.policy),
            measure: options.measure,
        }
    }

    /// The settings that the cache was last opened with, where it ever was.
    pub(crate) fn recorded(index: &Index) -> Result<Option<Self>> {
        let Some(text) = index.settings()? else { return Ok(None) };
        let settings = serde_json::from_str(&text);
        settings.map(Some).map_err(|error| {
            let message = "the settings in the index are damaged: open the cache with options";
            Error::new(ErrorKind::Corrupt, message).with_source(error)
        })
    }

    /// Options like these. A policy that is not one of ours has left nothing but its name, so the default stands in.
    pub(crate) fn options(&self) -> Options {
        let options = Options {
            limit: self.limit,
            ttl: self.ttl_ns.map(Duration::from_nanos),
            measure: self.measure,
            ..Options::new(self.evict_above)
        };
        let options = options.interval(Duration::from_nanos(self.interval_ns));
        match policy::named(&self.policy) {
            Some(policy) => options.policy(policy),
            None => options,
        }
    }

    /// Which settings differ.
    fn difference(&self, other: &Self) -> String {
        let show = |name: &str, theirs: String, ours: String| {
            (theirs != ours).then(|| format!("{name} {theirs} and not {ours}"))
        };
        let optional = |value: Option<u64>| value.map_or("none".to_owned(), |it| it.to_string());
        let time = |ns: u64| format!("{:?}", Duration::from_nanos(ns));
        let differences = [
            show("evict_above", self.evict_above.to_string(), other.evict_above.to_string()),
            show("limit", optional(self.limit), optional(other.limit)),
            show("interval", time(self.interval_ns), time(other.interval_ns)),
            show(
                "time to live",
                self.ttl_ns.map_or("none".to_owned(), time),
                other.ttl_ns.map_or("none".to_owned(), time),
            ),
            show("policy", self.policy.clone(), other.policy.clone()),
            show("measure", format!("{:?}", self.measure), format!("{:?}", other.measure)),
        ];
        differences.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Holds all who come later to the settings that one opened the cache with.
#[derive(Debug)]
pub(crate) struct Agreement(#[expect(dead_code, reason = "held for its lock")] FileLock);

/// Agrees with those who have the cache open, or records new settings where nobody has. Without settings of one's own one
/// agrees with those that are recorded; returns them, if there are any.
pub(crate) fn agree(
    reserved: &Path,
    index: &Index,
    ours: Option<&Settings>,
) -> Result<(Agreement, Option<Settings>)> {
    let held = reserved.join("settings.lock");
    // One opener at a time, so that who has the lock below has the cache open.
    let _turn = FileLock::exclusive(&reserved.join("opening.lock"))?;
    let recorded = match Settings::recorded(index) {
        Err(error) if error.kind() == ErrorKind::Corrupt => None,
        recorded => recorded?,
    };
    if let Some(ours) = ours
        && recorded.as_ref() != Some(ours)
    {
        let Some(_alone) = FileLock::try_exclusive(&held)? else {
            let what = recorded
                .map_or(" of an index that was replaced meanwhile".to_owned(), |it| {
                    format!(" ({})", it.difference(ours))
                });
            let message = format!(
                "is open with other settings{what}: open it with the same, or close it elsewhere first"
            );
            return Err(Error::new(ErrorKind::Conflict, message));
        };
        let encode =
            |error| Error::new(ErrorKind::Invalid, "settings have no JSON form").with_source(error);
        index.set_settings(&serde_json::to_string(ours).map_err(encode)?)?;
    }
    Ok((Agreement(FileLock::shared(&held)?), recorded))
}

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
