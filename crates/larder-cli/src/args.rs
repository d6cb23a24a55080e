//! What can be asked on the command line.

use std::{ops::Range, path::PathBuf, str::FromStr};

use clap::{Parser, Subcommand, ValueHint};
use clap_complete::Shell;

mod array;
mod dirs;
mod kv;
mod provenance;
mod shards;

pub(crate) use array::{Array, Arrays};
pub(crate) use dirs::{CacheDir, Daemon, Dirs, PolicyName, Sort};
pub(crate) use kv::{AnyCache, Cache, Kv, Set};
pub(crate) use provenance::{
    Graph, LineageFormat, LineageOf, OneRecord, Records, RecordsDir, WhyMiss,
};
pub(crate) use shards::{Changed, Hash, KeyFilter, Put, Removed, Scan, Shards, ShardsDir, hash};

/// On-disk caches for scientific and machine-learning pipelines.
///
/// Exit codes: 0 done, 1 it failed, 2 it was asked for in a way that cannot work, 3 `kv get` or `shards get` found nothing.
#[derive(Debug, Parser)]
#[command(name = "larder", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The directory that holds the stores [env: LARDER_ROOT] [default: larder in the user's cache directory]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) root: Option<PathBuf>,

    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a real pipeline over a genome through all five stores, twice, and show what the second pass saved
    #[command(
        after_help = "Without FASTA it takes the genome of bacteriophage lambda (NC_001416.1), which is \
                            part of the program. Run it again on the same root: nothing is computed."
    )]
    Tour {
        /// A FASTA file, plain or gzip
        #[arg(value_hint = ValueHint::FilePath)]
        fasta: Option<PathBuf>,
    },
    /// Show what all five stores hold
    Status,
    /// Read everything back and check it against its checksums, where its format has them
    Verify,
    /// Move damaged databases and shards aside, delete nothing, and make indexes anew
    Repair,
    /// The lookup cache: read, write, import, export and look after it
    #[command(
        subcommand,
        after_help = "Examples:\n  \
                      larder kv set ensembl BRCA2 '{\"length\": 84195}'\n  \
                      larder kv get ensembl BRCA2\n  \
                      larder kv hits ensembl --misses < symbols.txt\n  \
                      larder kv import ensembl ~/old-cache/ensembl.json"
    )]
    Kv(Kv),
    /// The arrays: list, look into, import, export and look after them
    #[command(subcommand)]
    Array(Array),
    /// The embedding shards: list, read, write and scan embeddings, and look after them
    #[command(subcommand)]
    Shards(Shards),
    /// The cached directories: list, pin, evict and look after them, and the daemon that keeps them below a size
    #[command(
        subcommand,
        after_help = "Examples:\n  \
                      larder dirs ls --sort size\n  \
                      larder dirs evict --dry-run --policy lru\n  \
                      larder dirs daemon --dir /var/cache/meshes --evict-above 50GB --interval 60s"
    )]
    Dirs(Dirs),
    /// The tracks, genomes and other results: list them, see what made them and why one is not found, look after them
    #[command(
        subcommand,
        after_help = "Examples:\n  \
                      larder provenance ls --kind track\n  \
                      larder provenance lineage 5d21c0be --format svg -o lineage.svg\n  \
                      larder provenance why-miss --like 5d21c0be --param window=1000\n  \
                      larder provenance gc --max-bytes 10GB --dry-run"
    )]
    Provenance(Records),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What can be asked of each store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    /// Show what it holds
    Status,
    /// Read everything back and check it against its checksums, where its format has them
    Verify,
    /// Move what is damaged aside, delete nothing, and make anew what can be derived
    Repair,
}

/// Two numbers as `A..B`.
fn range<T: FromStr>(text: &str) -> Result<Range<T>, String> {
    let parse = || {
        let (start, end) = text.split_once("..")?;
        Some(start.parse().ok()?..end.parse().ok()?)
    };
    parse().ok_or_else(|| "give two numbers, such as 0..10".to_owned())
}
