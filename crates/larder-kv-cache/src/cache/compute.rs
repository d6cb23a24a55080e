use std::{
    collections::{BTreeSet, HashMap},
    mem,
};

use larder_storage::{Bytes, Error, ErrorKind, Result};
use serde::{Serialize, de::DeserializeOwned};

use super::KvCache;
use crate::{
    Attributes,
    engine::{Change, Flight, Value, When, Write},
};

impl KvCache {
    /// The value of `key`; computed and stored if there is none. Of all threads and processes that ask at once, one
    /// computes and the others wait for it; where it fails or dies, the next one computes.
    ///
    /// # Errors
    ///
    /// Those of `compute`, and then nothing was stored; `Locked` where `compute` asks for the same key on its thread; else
    /// as [`get`](Self::get) and [`set`](Self::set). Two computations that ask for each other's keys wait for ever.
    pub fn get_or_compute<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        mut compute: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let mut values = self.get_or_compute_many(&[key], |_| Ok(vec![compute()?]))?;
        values.pop().ok_or_else(|| wrong_number(0, 1))
    }

    /// The values of `keys`, in their order. Those that are missing and that nobody else computes are computed in one
    /// batch: `compute` gets their keys, each once, and gives their values in the same order. It is called again only
    /// where others failed at what they had taken on.
    ///
    /// # Errors
    ///
    /// As [`get_or_compute`](Self::get_or_compute); `Invalid` where `compute` gives another number of values.
    pub fn get_or_compute_many<T: Serialize + DeserializeOwned>(
        &self,
        keys: &[impl AsRef<str>],
        mut compute: impl FnMut(&[&str]) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        keys.iter().try_for_each(|key| self.check_key(key))?;
        // What was computed here, which may expire or be evicted at once.
        let mut computed = HashMap::new();
        let mut is_first = true;
        loop {
            // In each round, because others may leave unsaved writes meanwhile, of which the engine knows nothing.
            self.save()?;
            let found = self.engine.find_many(&keys, self.now())?;
            if mem::take(&mut is_first) {
                found.iter().for_each(|found| self.counters.looked_up(found));
            }
            let known = keys.iter().zip(found).map(|(key, found)| {
                found.hit().map(|found| found.json).or_else(|| computed.get(key).cloned())
            });
            let known: Vec<Option<Bytes>> = known.collect();
            let missing = keys.iter().zip(&known).filter(|(_, json)| json.is_none());
            let missing: BTreeSet<&str> = missing.map(|(key, _)| *key).collect();
            if missing.is_empty() {
                let decode = |(key, json): (&&str, Bytes)| self.decode(key, &json);
                return keys.iter().zip(known.into_iter().flatten()).map(decode).collect();
            }
            let missing: Vec<&str> = missing.into_iter().collect();
            let flight = self.engine.take_off(&missing, self.now())?;
            computed.extend(self.compute(&missing, &*flight, &mut compute)?);
            flight.land()?;
        }
    }

    /// Computes what the flight leads, and stores it.
    fn compute<'a, T: Serialize>(
        &self,
        keys: &[&'a str],
        flight: &dyn Flight,
        compute: &mut impl FnMut(&[&str]) -> Result<Vec<T>>,
    ) -> Result<Vec<(&'a str, Bytes)>> {
        let led = keys.iter().enumerate().filter(|(index, _)| flight.leads(*index));
        let led: Vec<&str> = led.map(|(_, key)| *key).collect();
        if led.is_empty() {
            return Ok(Vec::new());
        }
        let computed = compute(&led)?;
        if computed.len() != led.len() {
            return Err(wrong_number(computed.len(), led.len()));
        }
        let attributes = Attributes::default();
        let encode = |(key, value): (&&str, &T)| self.value(key, value, &attributes);
        let values = led.iter().zip(&computed).map(encode).collect::<Result<Vec<Value>>>()?;
        let texts =
            led.iter().copied().zip(values.iter().map(|value| value.json.clone())).collect();
        let write = |(key, value)| Write { key, change: Change::Set(value), when: When::Always };
        let writes: Vec<_> = led.into_iter().zip(values).map(write).collect();
        self.engine.write(&writes, self.now())?;
        self.counters.computed(writes.len());
        tracing::debug!(namespace = self.namespace, keys = writes.len(), "computed");
        Ok(texts)
    }
}

fn wrong_number(given: usize, wanted: usize) -> Error {
    let message = format!("{wanted} values were to be computed and {given} were given");
    Error::new(ErrorKind::Invalid, message)
}
