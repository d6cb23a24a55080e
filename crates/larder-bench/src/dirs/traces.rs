//! What each policy misses of the requests that real caches got, beside libcachesim's policies of the same name.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use larder_dir_cache::{Gdsf, Lfu, Lru, Policy};
use serde_json::json;

use super::replay::{Request, replay};
use crate::{
    Outcome,
    directories::Directories,
    peer::Interpreter,
    report::repository,
    rounds::{Row, Table, Unit},
};

/// By how much the shares of missed objects may differ from libcachesim's.
const TOLERANCE: f64 = 0.002;

const POLICIES: [(&str, &dyn Policy); 3] = [("LRU", &Lru), ("LFU", &Lfu), ("GDSF", &Gdsf)];

/// The tables, and the version of libcachesim. None where there is no Python, or no traces can be had.
pub(super) fn all(dirs: &Directories, all: bool) -> Outcome<Option<(Vec<Table>, String)>> {
    let Some(python) = Interpreter::start("dirs/traces.py")? else { return Ok(None) };
    // Kept from run to run, as `cargo clean` removes them.
    let kept = repository().join("target/traces");
    fs::create_dir_all(&kept)?;
    if !python.ask::<bool>(&json!({ "request": "fetch", "dir": kept }))? {
        eprintln!("dirs: no traces are replayed, as they cannot be fetched");
        return Ok(None);
    }
    let mut tables = Vec::new();
    for (name, kind) in [("twitter cluster52", "twitter"), ("cloudPhysicsIO", "cloudphysics")] {
        let trace = Trace::read(name, kind, &python, &kept, &dirs.next()?.join("requests"))?;
        for percent in if all { &[1, 10][..] } else { &[1] } {
            tables.extend(trace.tables(*percent)?);
        }
    }
    Ok(Some((tables, python.ask(&json!({ "request": "hello" }))?)))
}

struct Trace<'a> {
    name: &'a str,
    kind: &'a str,
    python: &'a Interpreter,
    dir: PathBuf,
    requests: Vec<Request>,
    /// Of all objects, by the first request of each, in bytes.
    working_set: u64,
}

impl<'a> Trace<'a> {
    fn read(
        name: &'a str,
        kind: &'a str,
        python: &'a Interpreter,
        dir: &Path,
        copy: &Path,
    ) -> Outcome<Self> {
        eprintln!("reading the trace {name}");
        let request = json!({ "request": "write", "dir": dir, "trace": kind, "to": copy });
        python.ask::<()>(&request)?;
        let bytes = fs::read(copy)?;
        let requests: Vec<_> = bytes.as_chunks().0.iter().map(parse).collect();
        let mut sizes = HashMap::new();
        for request in &requests {
            sizes.entry(request.object).or_insert(request.size);
        }
        let working_set = sizes.values().sum();
        Ok(Self { name, kind, python, dir: dir.to_owned(), requests, working_set })
    }

    /// At a cache of so much of the working set.
    fn tables(&self, percent: u64) -> Outcome<[Table; 3]> {
        let capacity = self.working_set * percent / 100;
        let (mut objects, mut bytes, mut costs) = (Vec::new(), Vec::new(), Vec::new());
        for (name, policy) in POLICIES {
            let ours = replay(policy, false, &self.requests, capacity)?;
            let theirs = self.simulate(name, capacity)?;
            if (ours.objects - theirs.0).abs() > TOLERANCE {
                let message = format!("{name} on {}: {ours:?}, libcachesim {theirs:?}", self.name);
                return Err(message.into());
            }
            for (who, missed) in [("libcachesim", theirs), ("Larder", (ours.objects, ours.bytes))] {
                objects.push((format!("{who}, {name}"), missed.0));
                bytes.push((format!("{who}, {name}"), missed.1));
            }
            costs.push((format!("Larder, {name}"), ours.cost));
        }
        let aware = replay(&Gdsf, true, &self.requests, capacity)?;
        costs.push(("Larder, GDSF that knows the cost".into(), aware.cost));
        let title = |what| format!("share of {what} missed, {} at {percent} %", self.name);
        Ok([
            table(title("requests"), objects),
            table(title("bytes"), bytes),
            table(title("cost"), costs),
        ])
    }

    /// The shares of requests and bytes that libcachesim misses.
    fn simulate(&self, policy: &str, capacity: u64) -> Outcome<(f64, f64)> {
        self.python.ask(&json!({
            "request": "simulate", "dir": self.dir, "trace": self.kind, "policy": policy, "capacity": capacity,
        }))
    }
}

/// A request as the script writes it.
fn parse(record: &[u8; 24]) -> Request {
    let field = |number: usize| u64::from_le_bytes(record.as_chunks().0[number]);
    Request { object: field(0), size: field(1), cost: f64::from_bits(field(2)) }
}

fn table(title: String, shares: Vec<(String, f64)>) -> Table {
    let floor = shares[0].1;
    let row = |(name, value)| Row { name, value, of_floor: value / floor };
    let rows = shares.into_iter().map(row).collect();
    Table { title, unit: Unit::Share, rounds: 1, things: 1, rows }
}
