//! Work on a cache of directories that many processes share, or that is killed.

#![expect(clippy::disallowed_methods, reason = "who writes in place does it as other programs do")]

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use larder::dir_cache::{BuildOptions, DirCache, Lease, Observer};
use larder_storage::{Durability, Error, ErrorKind, Result};

use super::{
    array::{Outcome, say},
    dirs_changes::{
        Change, EVICT_ABOVE, MODEL, Only, change, content, fill, number_of, open_to_change, options,
    },
};

/// The hard limit of `limited`.
const LIMIT: u64 = 2 << 20;
const PLENTY: u64 = 1 << 40;

/// Does `what` with the cache at `root`; `number` is what each work says.
pub(crate) fn work(what: &str, root: &Path, number: u32) -> Outcome {
    match what {
        "read" => read(&open(root, EVICT_ABOVE)?, number),
        "evict" => evict(&open(root, EVICT_ABOVE)?),
        "count" => count(&open(root, PLENTY)?, number),
        "reopen" => reopen(root, number),
        "publish" => publish(&open(root, PLENTY)?, number),
        "evict-once" => evict_once(&open(root, EVICT_ABOVE)?),
        "churn" => churn(root, Durability::Process, number),
        "churn-at-power" => churn(root, Durability::Power, number),
        "build-once" => build_once(&open(root, PLENTY)?, root),
        "lead" => lead(root, number),
        "beside" => beside(&open(root, 5 * EVICT_ABOVE)?, number),
        "limited" => limited(root, number),
        "idle" => idle(&open(root, PLENTY)?),
        _ => Err(format!("unknown work: {what}").into()),
    }
}

fn open(root: &Path, evict_above: u64) -> Result<DirCache> {
    DirCache::open(root, options(evict_above))
}

/// Whether nobody has let this process go yet.
fn until_let_go() -> Arc<AtomicBool> {
    let at_work = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&at_work);
    thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        flag.store(false, Ordering::SeqCst);
    });
    at_work
}

/// Reads some entry 250 times, with all that is in it, and says how often it was the one to build it.
fn read(cache: &DirCache, id: u32) -> Outcome {
    let mut built = 0;
    for round in 0..250 {
        let number = (round * 5 + id * 3) % 7;
        let lease = cache.get_or_build(&format!("some/{number}"), |stage| fill(stage, number))?;
        built += u32::from(lease.built());
        for _ in 0..2 {
            assert_eq!(number_of(lease.path())?, number);
        }
    }
    Ok(say(built)?)
}

/// Evicts until it is let go, and says how many entries went.
fn evict(cache: &DirCache) -> Outcome {
    let (at_work, mut gone) = (until_let_go(), 0);
    say("evicting")?;
    while at_work.load(Ordering::SeqCst) {
        gone += cache.evict()?.len();
    }
    Ok(say(gone)?)
}

/// Waits for a line, and takes so many leases on one entry.
fn count(cache: &DirCache, times: u32) -> Outcome {
    say("waiting")?;
    io::stdin().read_line(&mut String::new())?;
    for _ in 0..times {
        drop(cache.get("shared")?.ok_or("the entry is gone")?);
    }
    Ok(())
}

/// As `count`, but opens the cache for each.
fn reopen(root: &Path, times: u32) -> Outcome {
    (0..times).try_for_each(|_| count(&open(root, PLENTY)?, 1))
}

/// Builds one entry, which reserves what it takes and more.
fn publish(cache: &DirCache, number: u32) -> Outcome {
    let options = BuildOptions::default().reserve(EVICT_ABOVE);
    drop(cache.get_or_build_with("new/entry", options, |stage| fill(stage, number))?);
    Ok(say("done")?)
}

fn evict_once(cache: &DirCache) -> Outcome {
    cache.evict()?;
    Ok(say("done")?)
}

/// Makes one change after the other, from the number `first` on, until it is killed; each that is acknowledged is told
/// by an empty line.
fn churn(root: &Path, durability: Durability, first: u32) -> Outcome {
    let cache = open_to_change(root, durability)?;
    for number in first.. {
        carry_out(&cache, durability, number)?;
        io::stdout().write_all(b"\n")?;
    }
    Ok(())
}

/// Makes a change. At `Power` nothing is written in place, because nobody flushes that.
fn carry_out(cache: &DirCache, durability: Durability, number: u32) -> Result<()> {
    match change(number) {
        Change::Build(key) => drop(cache.get_or_build(&key, |stage| fill(stage, number))?),
        Change::Get(key) => drop(cache.get(&key)?),
        Change::Remove(key) => _ = cache.remove(&key)?,
        Change::Evict(key) => _ = cache.evict_with(&Only(Some(key)))?,
        Change::Pin(key, pinned) => {
            _ = if pinned { cache.pin(&key)? } else { cache.unpin(&key)? };
        }
        Change::Model(_) if durability == Durability::Power => {}
        Change::Model(key) => write_model(&cache.model(&key)?, number)?,
        Change::Cycle => _ = cache.run_once()?,
    }
    Ok(())
}

fn write_model(model: &Lease, number: u32) -> Result<()> {
    let (path, beside) = (model.path().join(MODEL.0), model.path().join("beside"));
    let write = || {
        fs::write(&beside, content(number, MODEL.1))?;
        fs::rename(&beside, &path)
    };
    write().map_err(|error| Error::io(error, "cannot write the model").at_path(&path))
}

/// Waits for a line, asks for one cold key, and says whether it built that; who builds says so and waits for another
/// line.
fn build_once(cache: &DirCache, root: &Path) -> Outcome {
    say("waiting")?;
    io::stdin().read_line(&mut String::new())?;
    let lease = cache.get_or_build("cold", |stage| {
        let lead = || {
            say("building")?;
            io::stdin().read_line(&mut String::new())?;
            let mut ran =
                OpenOptions::new().create(true).append(true).open(root.with_extension("ran"))?;
            ran.write_all(b"built\n")
        };
        lead().map_err(|error| Error::io(error, "cannot tell"))?;
        fill(stage, process::id())
    })?;
    number_of(lease.path())?;
    Ok(say(if lease.built() { "built" } else { "found" })?)
}

/// Says its number at each cycle, and has those in the background until it is let go.
fn lead(root: &Path, interval_ms: u32) -> Outcome {
    struct Teller;
    impl Observer for Teller {
        fn on_cycle_complete(&self, _total_size: u64, _entry_count: u64) {
            let _ = say(process::id());
        }
    }
    let options = options(PLENTY).background(true).observer(Arc::new(Teller));
    let interval = Duration::from_millis(interval_ms.into());
    let _cache = DirCache::open(root, options.interval(interval))?;
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Works for so many milliseconds as the only user of the package would, and says how many entries it built.
fn beside(cache: &DirCache, time_ms: u32) -> Outcome {
    let (start, mut built) = (Instant::now(), 0);
    for number in 0.. {
        if start.elapsed() >= Duration::from_millis(time_ms.into()) {
            break;
        }
        let key = format!("ours/{}", number % 12);
        match cache.get_or_build(&key, |stage| fill(stage, number)) {
            Ok(lease) => built += u32::from(lease.built()),
            // The package has made a directory, and not yet its metadata.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
        match number % 20 {
            7 => _ = cache.run_once()?,
            13 => _ = cache.recount()?,
            _ => {}
        }
    }
    Ok(say(built)?)
}

/// Builds 150 entries of all sizes under a hard limit, each of which reserves what it takes, and holds two leases all the
/// time; says how often there was no room.
fn limited(root: &Path, id: u32) -> Outcome {
    let cache = DirCache::open(root, options(LIMIT).limit(LIMIT))?;
    let (mut random, mut held, mut refused) = (id, [const { None::<Lease> }; 2], 0);
    for round in 0..150_u32 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let sizes: Vec<u32> = (0..random >> 29).map(|file| (random >> file) & 0x3fff).collect();
        let reserve =
            4096 + sizes.iter().map(|size| u64::from(size.next_multiple_of(4096))).sum::<u64>();
        let options = BuildOptions::default().reserve(reserve);
        let build = |stage: &Path| write_all(stage, &sizes);
        match cache.get_or_build_with(&format!("{id}/{round}"), options, build) {
            Ok(lease) => held[(round % 2) as usize] = Some(lease),
            Err(error) if error.kind() == ErrorKind::Full => {
                eprintln!("{error}");
                refused += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    drop(held);
    Ok(say(refused)?)
}

fn write_all(stage: &Path, sizes: &[u32]) -> Result<()> {
    for (file, size) in sizes.iter().enumerate() {
        let path = stage.join(file.to_string());
        let written = OpenOptions::new().create_new(true).write(true).open(&path);
        let written = written.and_then(|mut file| file.write_all(&vec![7; *size as usize]));
        written.map_err(|error| Error::io(error, "cannot write").at_path(&path))?;
    }
    Ok(())
}

/// Runs an idle cycle between two looks at files that are not there, which a trace of its system calls shows.
fn idle(cache: &DirCache) -> Outcome {
    // The first one counts what the opening noted.
    cache.run_once()?;
    assert!(!Path::new("/begin").exists());
    let gone = cache.run_once()?;
    assert!(!Path::new("/end").exists() && gone.is_empty());
    Ok(say("done")?)
}
