//! The work of one turn, in terms that every contender understands.

use serde::Serialize;

use super::record::{Record, key, record};
use crate::{
    Outcome,
    rounds::{each, once},
};

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Call {
    Set,
    /// The record, as a value of its type.
    Get,
    /// The record, as the text that is stored.
    GetJson,
    /// The records one by one, timed as one.
    GetAll,
    SetMany,
    HitsAndMisses,
    Remove,
    /// What there is to give the space of removed entries back, about no key.
    Vacuum,
}

/// A call on the keys of these numbers: one for each of them, or one for all.
#[derive(Debug, Serialize)]
pub(super) struct Task {
    pub(super) call: Call,
    pub(super) numbers: Vec<usize>,
    /// Of the records that are set.
    pub(super) version: usize,
    /// How many calls are timed as one.
    pub(super) group: usize,
}

impl Task {
    fn keys(&self) -> Vec<String> {
        self.numbers.iter().map(|number| key(*number)).collect()
    }

    fn entries(&self) -> Vec<(String, Record)> {
        self.numbers.iter().map(|number| (key(*number), record(*number, self.version))).collect()
    }
}

/// Does tasks, and tells what each call took, in seconds.
pub(super) trait Contender {
    fn run(&mut self, task: &Task) -> Outcome<Vec<f64>>;
}

/// Keys that are there, and keys that are not.
pub(super) type Split = (Vec<String>, Vec<String>);

/// A store of records. A read of a key that is not there fails.
pub(super) trait Store {
    fn set(&mut self, key: &str, record: &Record) -> Outcome;
    fn get(&mut self, key: &str) -> Outcome<Record>;
    /// The length of the text, which is held while it is told.
    fn get_json(&mut self, _key: &str) -> Outcome<usize> {
        Err("it does not hand out what it stores".into())
    }
    /// In one transaction, where there are any.
    fn set_many(&mut self, entries: &[(String, Record)]) -> Outcome;
    fn hits_and_misses(&mut self, keys: &[String]) -> Outcome<Split>;
    fn remove(&mut self, key: &str) -> Outcome;
    fn vacuum(&mut self) -> Outcome {
        Ok(())
    }
}

impl<S: Store> Contender for S {
    fn run(&mut self, task: &Task) -> Outcome<Vec<f64>> {
        let group = task.group;
        match task.call {
            Call::Set => each(group, &task.entries(), |(key, record)| self.set(key, record)),
            Call::Get => each(group, &task.keys(), |key| self.get(key).map(drop)),
            Call::GetJson => each(group, &task.keys(), |key| self.get_json(key).map(drop)),
            Call::GetAll => {
                let keys = task.keys();
                once(|| keys.iter().try_for_each(|key| self.get(key).map(drop)))
            }
            Call::Remove => each(group, &task.keys(), |key| self.remove(key)),
            Call::Vacuum => once(|| self.vacuum()),
            Call::SetMany => {
                let entries = task.entries();
                once(|| self.set_many(&entries))
            }
            Call::HitsAndMisses => {
                let keys = task.keys();
                once(|| half(&self.hits_and_misses(&keys)?))
            }
        }
    }
}

/// Fails where not half of the keys are there, as the task has it.
fn half((hits, misses): &Split) -> Outcome {
    if hits.len() == misses.len() {
        return Ok(());
    }
    Err(format!("{} hits and {} misses", hits.len(), misses.len()).into())
}
