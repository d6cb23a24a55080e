//! What can be asked of the results and of what made them.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, ValueHint, builder::NonEmptyStringValueParser};

use super::{dirs::size, kv::time};

/// Which store.
#[derive(Debug, Args)]
pub(crate) struct RecordsDir {
    /// Use the store in this directory, and not that under the root
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// Which record.
#[derive(Debug, Args)]
pub(crate) struct OneRecord {
    #[command(flatten)]
    pub(crate) store: RecordsDir,
    /// The record: its id, at least 8 digits of its beginning or end, or @TAG
    pub(crate) id: String,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Records {
    /// List the results, the oldest first
    #[command(
        after_help = "state: live where the result is there, doubtful where something that it was made from was invalidated, collected where it was given up to free space, invalid where it was invalidated.\n\
                      With --json it prints one object a line.\n\n\
                      Examples:\n  \
                      larder provenance ls --kind track\n  \
                      larder provenance ls --all --tag release-1"
    )]
    Ls {
        #[command(flatten)]
        store: RecordsDir,
        /// Only results of this kind, such as track, genome, bytes or json
        #[arg(long)]
        kind: Option<String>,
        /// Only records with this tag
        #[arg(long)]
        tag: Option<String>,
        /// Also records without a result: those that are collected or invalid
        #[arg(long)]
        all: bool,
    },
    /// Show all that is known of a record, or write its result
    #[command(
        after_help = "The ids of one minute begin alike, so the last digits, which drawings show too, are the shorter name.\n\n\
                      Examples:\n  \
                      larder provenance show 5d21c0be\n  \
                      larder provenance show @release-1 --payload > skew.npy"
    )]
    Show {
        #[command(flatten)]
        record: OneRecord,
        /// Write the bytes of the result to standard output instead
        #[arg(long, conflicts_with = "json")]
        payload: bool,
    },
    /// Show what a record was made from, and what was made from it
    #[command(after_help = "Examples:\n  \
                      larder provenance lineage 5d21c0be --up\n  \
                      larder provenance lineage 5d21c0be --format svg -o lineage.svg\n  \
                      larder provenance lineage 5d21c0be --format dot | dot -Tpdf > lineage.pdf")]
    Lineage(LineageOf),
    /// Say why a result is not found
    #[command(
        after_help = "PROVENANCE is in the JSON form that `show --json` prints as provenance and that Provenance::to_json gives. \
                      Differences are told from what was asked for to what the nearest record has.\n\n\
                      Examples:\n  \
                      larder provenance why-miss asked.json\n  \
                      larder provenance why-miss --like 5d21c0be --param window=1000 --param 'label=\"5\"'"
    )]
    WhyMiss(WhyMiss),
    /// Declare a result wrong: it has to be computed anew
    #[command(
        after_help = "What was made from it, at any remove, becomes doubtful: it is found again once its inputs are there as they were, and is computed anew where they come out otherwise."
    )]
    Invalidate {
        #[command(flatten)]
        record: OneRecord,
        /// Only show what would be invalid or doubtful
        #[arg(long)]
        dry_run: bool,
    },
    /// Give up results to free space, and keep their records
    #[command(
        after_help = "Lineages stay whole, and a result that is asked for again is computed again under its id. What is invalid goes first, then what is oldest. \
                      What is pinned stays, and so does what has no provenance and so could not be computed again. \
                      Payloads that writers left when they were killed go as well, without any option too.\n\
                      A SIZE is a whole number and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB. An AGE is a whole number and s, m, h, d or w.\n\n\
                      Example:\n  \
                      larder provenance gc --max-bytes 10GB --max-age 30d --dry-run"
    )]
    Gc {
        #[command(flatten)]
        store: RecordsDir,
        /// Give up the oldest until the others take no more than this
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_bytes: Option<u64>,
        /// Give up those that were stored longer ago than this
        #[arg(long, value_name = "AGE", value_parser = time)]
        max_age: Option<Duration>,
        /// Only show what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep a result from gc
    Pin(OneRecord),
    /// Let gc have a result again
    Unpin(OneRecord),
    /// Give a record a name, which others may have too
    #[command(after_help = "Where one record alone has it, @NAME names that.")]
    Tag {
        #[command(flatten)]
        record: OneRecord,
        /// The name
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Take a name away again
    Untag {
        #[command(flatten)]
        record: OneRecord,
        /// The name
        name: String,
    },
    /// Note something about a record, in the place of an earlier note
    Note {
        #[command(flatten)]
        record: OneRecord,
        /// The note; an empty one removes what was noted
        text: String,
    },
    /// Write the lineage of all records, or of some, to a file
    #[command(
        after_help = "The lineage of a record is all that it was made from, and all that was made from it.\n\n\
                      Examples:\n  \
                      larder provenance export -o all.json\n  \
                      larder provenance export 5d21c0be @release-1 -o some.svg --format svg"
    )]
    Export {
        #[command(flatten)]
        store: RecordsDir,
        /// The records, named as for `show` [default: all]
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// The file, which is written whole or not at all
        #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: PathBuf,
        /// W3C PROV-JSON, Graphviz, or a drawing
        #[arg(long, value_enum, default_value_t = Graph::ProvJson)]
        format: Graph,
    },
    /// Add the records and results of a store in another directory
    #[command(
        after_help = "What is here already keeps its id. Where both have other results of one provenance, that which is here stays and the other one is named.\n\n\
                      Example:\n  \
                      larder provenance merge /mnt/other/larder/provenance"
    )]
    Merge {
        #[command(flatten)]
        store: RecordsDir,
        /// The other store: under a root, its directory `provenance`
        #[arg(value_hint = ValueHint::DirPath)]
        from: PathBuf,
    },
    /// Show how much there is
    Status {
        #[command(flatten)]
        store: RecordsDir,
    },
    /// Read every record and every result back, and check them
    Verify {
        #[command(flatten)]
        store: RecordsDir,
    },
    /// Move a damaged index aside; the next command makes it anew from the records
    Repair {
        #[command(flatten)]
        store: RecordsDir,
    },
    /// Take up records that others changed beside the index
    Refresh {
        #[command(flatten)]
        store: RecordsDir,
    },
    /// Make the index anew from the records
    Reindex {
        #[command(flatten)]
        store: RecordsDir,
    },
}

/// Which lineage, and how to show it.
#[derive(Debug, Args)]
pub(crate) struct LineageOf {
    #[command(flatten)]
    pub(crate) record: OneRecord,
    /// A tree to read, W3C PROV-JSON, Graphviz, or a drawing [default: text, or json with --json]
    #[arg(long, value_enum)]
    pub(crate) format: Option<LineageFormat>,
    /// Only what the record was made from
    #[arg(long, conflicts_with = "down")]
    pub(crate) up: bool,
    /// Only what was made from the record
    #[arg(long)]
    pub(crate) down: bool,
    /// Write this file, whole or not at all, instead of standard output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

/// Which result was asked for.
#[derive(Debug, Args)]
pub(crate) struct WhyMiss {
    #[command(flatten)]
    pub(crate) store: RecordsDir,
    /// A file with the provenance that was asked for, or - for standard input
    #[arg(required_unless_present = "like", conflicts_with = "like", value_hint = ValueHint::FilePath)]
    pub(crate) provenance: Option<PathBuf>,
    /// Only results of this kind [default: of every kind]
    #[arg(long, conflicts_with = "like")]
    pub(crate) kind: Option<String>,
    /// Ask for the provenance of this record, named as for `show`
    #[arg(long, value_name = "ID")]
    pub(crate) like: Option<String>,
    /// With this parameter otherwise: VALUE is JSON, in which 1 and 1.0 differ, or else a text
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    pub(crate) params: Vec<(String, String)>,
}

/// A form of a graph for other programs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Graph {
    #[value(alias = "json")]
    ProvJson,
    Dot,
    Svg,
}

/// A form of a lineage.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LineageFormat {
    Text,
    #[value(alias = "prov-json")]
    Json,
    Dot,
    Svg,
}

/// A name and a value around the first `=`.
fn param(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or("give a name and a value, such as window=500")?;
    Ok((name.to_owned(), value.to_owned()))
}
