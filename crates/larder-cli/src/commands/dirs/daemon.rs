//! `larder dirs daemon`: the cycles of a cache, for as long as nobody ends it.

use std::{
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use larder::{
    dir_cache::{DirCache, Observer, Options},
    storage::{Error, Result},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use super::{count, policy};
use crate::{args::Daemon, output};

/// Keeps the cache in `dir` below its size until SIGTERM or SIGINT.
///
/// # Errors
/// As [`DirCache::open`].
pub(super) fn run(dir: &Path, what: &Daemon) -> Result<()> {
    // Before anything is begun, so that every end is an orderly one.
    let mut signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|error| Error::io(error, "cannot ask for signals"))?;
    let cache = DirCache::open(dir, options(what))?;
    say(&format!("ready: {} {}", cache.root().display(), settings(what)));
    let signal = signals.forever().next();
    say(match signal {
        Some(SIGINT) => "SIGINT: a last cycle",
        _ => "SIGTERM: a last cycle",
    });
    drop(cache);
    say("ended");
    Ok(())
}

fn options(what: &Daemon) -> Options {
    let options = Options::new(what.evict_above)
        .interval(what.interval)
        .policy(policy(what.policy))
        .observer(Arc::new(Log::default()));
    let options = what.limit.map_or(options.clone(), |limit| options.limit(limit));
    what.ttl.map_or(options.clone(), |ttl| options.ttl(ttl))
}

fn settings(what: &Daemon) -> String {
    let mut text = format!("evicts above {}", output::bytes(what.evict_above));
    if let Some(limit) = what.limit {
        text.push_str(&format!(", has a limit of {}", output::bytes(limit)));
    }
    if let Some(ttl) = what.ttl {
        text.push_str(&format!(", keeps entries for {}", output::span(ttl)));
    }
    text + &format!(", by {:?}, every {}", policy(what.policy), output::span(what.interval))
}

/// One line with the time on standard error; whoever closed that does not stop the cache from being kept.
fn say(what: &str) {
    let line = format!("{} {}\n", output::utc(SystemTime::now()), output::one_line(what));
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Tells what happens.
#[derive(Debug, Default)]
struct Log {
    leads: AtomicBool,
}

impl Observer for Log {
    fn on_evict(&self, key: &str) {
        say(&format!("evicted {key}"));
    }

    fn on_error(&self, error: &Error, context: &str) {
        say(&format!("error: {context}: {}", error.chain()));
    }

    fn on_cycle_complete(&self, total_size: u64, entry_count: u64) {
        // Only who leads runs cycles, and goes on to lead until it ends.
        if !self.leads.swap(true, Ordering::Relaxed) {
            say("leads");
        }
        let size = output::bytes(total_size);
        say(&format!("cycle: {}, {size}", count(entry_count)));
    }
}
