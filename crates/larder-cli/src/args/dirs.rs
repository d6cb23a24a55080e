//! What can be asked of the cached directories.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use super::kv::time;

/// Which cache.
#[derive(Debug, Args)]
pub(crate) struct CacheDir {
    /// Use the cache in this directory, and not that under the root
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Dirs {
    /// List the entries with their sizes, uses and build costs
    #[command(
        after_help = "size: what an entry occupies on the disk. accesses: how many leases were taken on it, the builder's among them. age: how long ago the last one was taken or released. \
                      cost: how long the builder took. expires: when it is no longer handed out.\n\n\
                      Example:\n  larder dirs ls --sort cost"
    )]
    Ls {
        #[command(flatten)]
        cache: CacheDir,
        /// By what to order them: key, or the largest, the oldest, the dearest or the most accessed first
        #[arg(long, value_enum, default_value_t = Sort::Key)]
        sort: Sort,
    },
    /// Show how much there is, the thresholds, and what is unfinished
    Status {
        #[command(flatten)]
        cache: CacheDir,
    },
    /// Evict while the cache is above its threshold
    #[command(
        after_help = "What is in use or pinned stays, and so does the newest entry. The threshold and the policy are those that the cache was last opened with.\n\n\
                      Example:\n  larder dirs evict --dry-run --policy sized-lru"
    )]
    Evict {
        #[command(flatten)]
        cache: CacheDir,
        /// Choose by this policy [default: that of the cache]
        #[arg(long, value_enum, value_name = "NAME")]
        policy: Option<PolicyName>,
        /// Only show what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep entries from eviction
    #[command(
        after_help = "A pinned entry still counts, can be removed, and goes when its time is over."
    )]
    Pin {
        #[command(flatten)]
        cache: CacheDir,
        /// The keys
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Let entries be evicted again
    Unpin {
        #[command(flatten)]
        cache: CacheDir,
        /// The keys
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Remove entries
    #[command(
        after_help = "What is in use stays and is named, and then the exit code is 1. A key that is not there is named, and is no error."
    )]
    Rm {
        #[command(flatten)]
        cache: CacheDir,
        /// The keys
        #[arg(value_name = "KEY", required_unless_present = "all")]
        keys: Vec<String>,
        /// Remove all entries, pinned ones too
        #[arg(long, conflicts_with = "keys")]
        all: bool,
    },
    /// Compare the files of all entries with what was published, and the index with its counters
    #[command(after_help = "What is in the files is not checked, only their names and lengths.")]
    Verify {
        #[command(flatten)]
        cache: CacheDir,
    },
    /// Move a damaged index aside
    #[command(
        after_help = "The next open makes a new one from the entries, with the settings that it is opened with: start the daemon, or the program that owns the cache, before `evict`."
    )]
    Repair {
        #[command(flatten)]
        cache: CacheDir,
    },
    /// Measure all entries anew, take on those that other programs made, and forget those that are gone
    Recount {
        #[command(flatten)]
        cache: CacheDir,
    },
    /// Keep the cache below a size for as long as this runs
    #[command(
        after_help = "It makes the cache where it is missing, runs a cycle at once, then one each interval, and a last one when it gets SIGTERM or SIGINT. What it does is told on standard error, one line each. \
                      Of several on one cache one leads, and another goes on when it dies. All who have the cache open have the same settings, or take those that it has (DirCache::open_existing).\n\
                      A SIZE is a whole number and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB. A TIME is a whole number and s, m, h, d or w.\n\n\
                      Examples:\n  \
                      larder dirs daemon --root /data/larder --evict-above 50GB --interval 60s\n  \
                      larder dirs daemon --dir /var/cache/meshes --evict-above 50GB --limit 60GB --ttl 30d"
    )]
    Daemon(Daemon),
}

/// How the daemon keeps the cache.
#[derive(Debug, Args)]
pub(crate) struct Daemon {
    #[command(flatten)]
    pub(crate) cache: CacheDir,
    /// Evict while the entries have more than this together
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) evict_above: u64,
    /// Never have more than this on the disk, with what is being built and deleted; builds for which there is no room fail
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) limit: Option<u64>,
    /// The time between two cycles
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "60s")]
    pub(crate) interval: Duration,
    /// What chooses the entries to evict
    #[arg(long, value_enum, value_name = "NAME", default_value_t = PolicyName::Gdsf)]
    pub(crate) policy: PolicyName,
    /// How long entries are handed out after they were built [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) ttl: Option<Duration>,
}

/// An order of entries.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Sort {
    Key,
    Size,
    Age,
    Cost,
    Count,
}

/// A policy of the crate.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PolicyName {
    /// The least loss first: cheap to build, large, seldom used
    Gdsf,
    /// What was accessed longest ago first
    Lru,
    /// What was accessed the fewest times first
    Lfu,
    /// What was accessed longest ago first, and among equals the largest
    SizedLru,
}

/// A number of bytes as a number and a unit.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let parse = || {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
        let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        let bytes = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        // No file system and no index counts further.
        (bytes > 0 && i64::try_from(bytes).is_ok()).then_some(bytes)
    };
    parse().ok_or_else(|| {
        "a size is a whole number above 0 and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 50GB".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        let cases = [("1B", 1), ("50GB", 50_000_000_000), ("50gb", 50_000_000_000), ("7KB", 7_000)];
        let binary =
            [("3KiB", 3 << 10), ("512MiB", 512 << 20), ("2GiB", 2 << 30), ("1tib", 1 << 40)];
        for (text, bytes) in cases.into_iter().chain(binary) {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        let bad = [
            "",
            "GB",
            "50",
            "0B",
            "-1B",
            "1.5GB",
            "1 GB",
            "5G",
            "5é",
            "9223373TB",
            "99999999999999999999B",
        ];
        for text in bad {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
