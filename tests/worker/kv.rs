//! Work on a lookup cache that many processes share.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    process, thread,
};

use larder::kv_cache::{KvCache, Lookup};
use larder_storage::Result;

use super::kv_changes::{Change, LEN, MANY, change, content, open};

type Outcome = std::result::Result<(), Box<dyn Error>>;

/// Does `what` with the cache at `place`; `number` and `times` are what each work says.
pub(crate) fn work(engine: &str, place: &str, what: &str, number: u32, times: u32) -> Outcome {
    match what {
        "mix" => mix(&open(engine, place)?, number, times),
        "races" => races(engine, place, number),
        "churn" => churn(&open(engine, place)?, number),
        "compute" => compute(&open(engine, place)?, Path::new(place), times),
        "compute-many" => compute_many(&open(engine, place)?, Path::new(place), number),
        _ => Err(format!("unknown work: {what}").into()),
    }
}

fn say(step: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(format!("{step}\n").as_bytes())?;
    out.flush()
}

/// `times` operations of every kind: on keys of its own, which hold what only this process set, and on keys of all.
/// Says how often it counted, and how many keys it was the first to insert.
fn mix(cache: &KvCache, id: u32, times: u32) -> Outcome {
    let (mut own, mut counted, mut first) = (BTreeMap::new(), 0, 0);
    let mut random = id;
    for _ in 0..times {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (what, n) = (random >> 28, random >> 8 & 0xfff);
        let key = format!("{id}:{}", n % 50);
        match what {
            0..4 => {
                cache.set(&key, &n)?;
                own.insert(key, n);
            }
            4..7 => assert_eq!(cache.get(&key)?.hit(), own.get(&key).copied(), "{key}"),
            7..9 => assert_eq!(cache.invalidate(&key)?, own.remove(&key).is_some(), "{key}"),
            9..13 => {
                cache.update("sum", |sum: Lookup<u32>| sum.hit().unwrap_or(0) + 1)?;
                counted += 1;
            }
            _ => first += u32::from(cache.insert_if_absent(&format!("once:{}", n % 500), &id)?),
        }
    }
    assert_eq!(cache.keys_with_prefix(&format!("{id}:"))?.len(), own.len());
    for (key, n) in own {
        assert_eq!(cache.get(&key)?, Lookup::Hit(n), "{key}");
    }
    Ok(say(&format!("{counted} {first}"))?)
}

/// Opens a fresh cache for each line that it reads, and leaves its number there.
fn races(engine: &str, place: &str, id: u32) -> Outcome {
    for line in io::stdin().lines() {
        let fresh = Path::new(place).join(line?);
        open(engine, &fresh.to_string_lossy())?.set(&id.to_string(), &id)?;
        say("opened")?;
    }
    Ok(())
}

/// Makes one change after the other, from the number `first` on, until it is killed; each that is acknowledged is told
/// by an empty line.
fn churn(cache: &KvCache, first: u32) -> Outcome {
    for number in first.. {
        match change(number) {
            Change::Set(key, len) => cache.set(&key, &content(number, len))?,
            Change::SetMany => cache.set_many(MANY.map(|key| (key, content(number, LEN))))?,
            Change::Insert(key) => {
                cache.insert_if_absent(&key, &content(number, 50))?;
            }
            Change::Invalidate(key) => {
                cache.invalidate(&key)?;
            }
            Change::Clear => cache.clear()?,
            Change::Count => {
                cache.update("sum", |sum: Lookup<String>| next(sum.hit()))?;
            }
        }
        io::stdout().write_all(b"\n")?;
    }
    Ok(())
}

/// The number after this one; numbers are text here, as all other values are.
fn next(number: Option<String>) -> String {
    (number.and_then(|number| number.parse::<u32>().ok()).unwrap_or(0) + 1).to_string()
}

/// Waits for a line, asks in `threads` threads for one cold key, and says what each found.
fn compute(cache: &KvCache, place: &Path, threads: u32) -> Outcome {
    start()?;
    let found = thread::scope(|scope| {
        let ask = || {
            cache.get_or_compute("cold", || {
                compute_here(place, &["cold"])?;
                Ok(process::id().to_string())
            })
        };
        let asking: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
        let answers = asking.into_iter().map(|it| it.join().map_err(|_| "a thread panicked"));
        answers.collect::<std::result::Result<Vec<Result<String>>, _>>()
    })?;
    let found = found.into_iter().collect::<Result<BTreeSet<String>>>()?;
    Ok(say(&found.into_iter().collect::<Vec<_>>().join(" "))?)
}

/// Waits for a line, and asks for 40 of 60 keys.
fn compute_many(cache: &KvCache, place: &Path, number: u32) -> Outcome {
    start()?;
    let keys: Vec<String> = (0..40).map(|n| ((number * 7 + n) % 60).to_string()).collect();
    let values = cache.get_or_compute_many(&keys, |missing| {
        compute_here(place, missing)?;
        Ok(missing.iter().map(|key| format!("value of {key}")).collect())
    })?;
    assert!(keys.iter().zip(values).all(|(key, value)| value == format!("value of {key}")));
    Ok(say("found")?)
}

fn start() -> Outcome {
    say("waiting")?;
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Says that it leads, waits for another line or the end of standard input, and then writes down what it computed.
fn compute_here(place: &Path, keys: &[&str]) -> Result<()> {
    let write = || {
        say("leading")?;
        io::stdin().read_line(&mut String::new())?;
        let mut ran = OpenOptions::new().create(true).append(true).open(place.join("ran"))?;
        ran.write_all(keys.iter().map(|key| format!("{key}\n")).collect::<String>().as_bytes())
    };
    write().map_err(|error| larder_storage::Error::io(error, "cannot compute"))
}
