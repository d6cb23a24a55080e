//! What can be asked of the embedding shards.

use std::{ops::Range, path::PathBuf, str::FromStr};

use clap::{Args, Subcommand, ValueHint};
use larder::{
    embedding_shards::{Dtype, PoolType},
    storage::{Digest, Error},
};

use super::range;

/// Which cache.
#[derive(Debug, Args)]
pub(crate) struct ShardsDir {
    /// Use the cache in this directory, such as one of geno-lewm, and not that under the root
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// Which cache is changed.
#[derive(Debug, Args)]
pub(crate) struct Changed {
    #[command(flatten)]
    pub(crate) cache: ShardsDir,
    /// Keep the index that geno-lewm reads in step, and make it where it is missing
    #[arg(long)]
    pub(crate) python_index: bool,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Shards {
    /// List the shards with their lengths
    #[command(after_help = "Example:\n  larder shards ls")]
    Ls {
        #[command(flatten)]
        cache: ShardsDir,
    },
    /// Print rows by the hashes of their windows, as JSON, one a line
    #[command(
        after_help = "Where a hash has rows of several keys, the options say which. A hash that is not there is named, and then the exit code is 3.\n\
                      With all of --encoder-hash, --layer, --pool, --radius and --dtype a row is one look into the index; without one of them the keys of all rows are read first.\n\n\
                      Examples:\n  \
                      larder shards get 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n  \
                      larder shards get --layer 12 --dtype fp16 --npy rows.npy $(cat hashes.txt)"
    )]
    Get(Get),
    /// Write the rows of a .npy file as embeddings
    #[command(
        after_help = "KEYS has one line for each row of the file, in the same order: a table between tabs, or commas where its name ends in .csv, under a line of names; or where it ends in .json, \
                      .jsonl or .ndjson, one JSON object a line. It names\n  \
                      window_hash  64 hexadecimal digits; or instead\n  \
                      sequence     the letters of a window, whose SHA-256 is taken in upper case; or instead\n  \
                      text         whose SHA-256 is taken as it is\n  \
                      source       the contig or document, also called chrom\n  \
                      start, end   where the window lies in it, also called start_bp and end_bp\n\
                      Each source has shards of its own; --collection puts rows of many short documents into the same ones.\n\
                      The same again changes nothing. Where a source or collection has shards already, --first-block says where new rows go.\n\n\
                      Example:\n  \
                      larder shards put chunks.npy --keys chunks.tsv --encoder-id org/model --encoder-hash $(sha256sum model.bin | cut -c -64) --collection essays"
    )]
    Put(Put),
    /// Print all rows that have something in common, or write them to a file
    #[command(
        after_help = "Without --columns, all but the embedding and its checksums are printed, and written to a file with it.\n\n\
                      Examples:\n  \
                      larder shards scan --source 21 --positions 5000000..5010000\n  \
                      larder shards scan --encoder-hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --npy all.npy"
    )]
    Scan(Scan),
    /// Show how many rows there are of each encoder, layer, pool and dtype
    #[command(after_help = "Example:\n  larder shards stats --json")]
    Stats {
        #[command(flatten)]
        cache: ShardsDir,
    },
    /// Make the index anew from the shards
    #[command(after_help = "Example:\n  larder shards reindex --dir ~/.geno-lewm-cache")]
    Reindex(Changed),
    /// Merge small shards, and rewrite those of geno-lewm so that a row is one read
    #[command(
        after_help = "Keys and numbers stay what they are. Shards that cannot be rewritten stay and are named, and then the exit code is 1.\n\n\
                      Example:\n  larder shards compact --target-mib 256"
    )]
    Compact {
        #[command(flatten)]
        cache: Changed,
        /// How many MiB of embeddings a shard may get
        #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..1 << 20))]
        target_mib: u64,
    },
    /// Remove whole shards
    #[command(
        after_help = "Shards of whose rows only some match stay and are named, and then the exit code is 1.\n\n\
                      Example:\n  larder shards rm --encoder-hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    Rm {
        #[command(flatten)]
        cache: Changed,
        #[command(flatten)]
        what: Removed,
    },
    /// Write the index that geno-lewm reads, and print where it is
    #[command(after_help = "Example:\n  larder shards export-index --dir ~/.geno-lewm-cache")]
    ExportIndex {
        #[command(flatten)]
        cache: ShardsDir,
    },
    /// Take on the shards of a cache that geno-lewm wrote, which is only read
    #[command(
        after_help = "Rows that are there already are passed over. Shards that are left out are named, and then the exit code is 1.\n\n\
                      Example:\n  larder shards import ~/.geno-lewm-cache"
    )]
    Import {
        #[command(flatten)]
        cache: Changed,
        /// The directory of geno-lewm's cache
        #[arg(value_name = "FROM", value_hint = ValueHint::DirPath)]
        from: PathBuf,
    },
    /// Show what it holds
    Status {
        #[command(flatten)]
        cache: ShardsDir,
    },
    /// Read everything back and check it against its checksums, where its format has them
    Verify {
        #[command(flatten)]
        cache: ShardsDir,
    },
    /// Move what is damaged aside, delete nothing, and make anew what can be derived
    Repair(Changed),
}

/// Which shards are removed: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Removed {
    /// Those of the encoder whose weights have this hash, 64 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = hash)]
    pub(crate) encoder_hash: Option<Hash>,
    /// Those of the encoder with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) encoder_id: Option<String>,
    /// Those whose rows were all made before this time, in nanoseconds since 1970
    #[arg(long, value_name = "NS")]
    pub(crate) created_before: Option<i64>,
    /// The one with this path, as `ls` prints it
    #[arg(long, value_name = "PATH")]
    pub(crate) shard: Option<String>,
}

/// What tells apart rows of the same window.
#[derive(Debug, Args)]
pub(crate) struct KeyFilter {
    /// Only rows of the encoder whose weights have this hash, 64 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = hash)]
    pub(crate) encoder_hash: Option<Hash>,
    /// Only rows of this layer
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) layer: Option<i8>,
    /// Only rows that were pooled so: centered_mean, global_mean or attention
    #[arg(long, value_name = "TYPE", value_parser = parsed::<PoolType>, requires = "radius")]
    pub(crate) pool: Option<PoolType>,
    /// And so many positions to each side
    #[arg(long, value_name = "N", requires = "pool")]
    pub(crate) radius: Option<u32>,
    /// Only rows of this type: fp16, bf16 or fp32
    #[arg(long, value_name = "TYPE", value_parser = parsed::<Dtype>)]
    pub(crate) dtype: Option<Dtype>,
}

/// Which rows are read by their hashes.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) cache: ShardsDir,
    #[command(flatten)]
    pub(crate) key: KeyFilter,
    /// The hashes of the windows, 64 hexadecimal digits each
    #[arg(value_name = "HASH", required = true, value_parser = hash)]
    pub(crate) hashes: Vec<Hash>,
    /// Write the embeddings to this .npy file, one row for each hash, and print nothing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) npy: Option<PathBuf>,
}

/// What is written.
#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) cache: Changed,
    /// The .npy file: two axes, of f2, f4 or the bf16 of ml_dtypes
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// What each row is of
    #[arg(long, value_name = "KEYS", value_hint = ValueHint::FilePath)]
    pub(crate) keys: PathBuf,
    /// The encoder's name, any text
    #[arg(long, value_name = "NAME")]
    pub(crate) encoder_id: String,
    /// The hash of its weights, 64 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = hash)]
    pub(crate) encoder_hash: Hash,
    /// The layer whose states were pooled
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) layer: i8,
    /// How they were pooled: centered_mean, global_mean or attention
    #[arg(long, value_name = "TYPE", default_value = "global_mean", value_parser = parsed::<PoolType>)]
    pub(crate) pool: PoolType,
    /// How many positions to each side
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) radius: u32,
    /// The type to store: fp16, bf16 or fp32 [default: that of the file]
    #[arg(long, value_name = "TYPE", value_parser = parsed::<Dtype>)]
    pub(crate) dtype: Option<Dtype>,
    /// Write the rows of all sources into shards of this collection
    #[arg(long, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    /// The number that the first new shard of each source, or of the collection, gets
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) first_block: u64,
}

/// Which rows are printed or written.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    #[command(flatten)]
    pub(crate) cache: ShardsDir,
    #[command(flatten)]
    pub(crate) key: KeyFilter,
    /// Only rows of this contig or document
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Only rows whose window shares a position with this range
    #[arg(long, value_name = "A..B", value_parser = range::<i64>, allow_hyphen_values = true)]
    pub(crate) positions: Option<Range<i64>>,
    /// Only rows that were made in this range of time, in nanoseconds since 1970
    #[arg(long, value_name = "A..B", value_parser = range::<i64>, allow_hyphen_values = true)]
    pub(crate) created: Option<Range<i64>>,
    /// These columns in this order, between commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,
    /// Write a Parquet file, which appears whole, and print how many rows it has
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "npy")]
    pub(crate) parquet: Option<PathBuf>,
    /// Write the embeddings to a .npy file, which appears whole, in the order in which the rows are printed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "columns")]
    pub(crate) npy: Option<PathBuf>,
}

/// A hash: clap takes an array of bytes for many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

/// The hash that these digits spell.
pub(crate) fn hash(text: &str) -> Result<Hash, String> {
    let wrong = |_| "a hash is 64 hexadecimal digits".to_owned();
    let digest: Digest = text.to_ascii_lowercase().parse().map_err(wrong)?;
    Ok(Hash(*digest.as_bytes()))
}

fn parsed<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: Error| error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_ranges_have_one_spelling() {
        assert_eq!(hash(&"aB".repeat(32)), Ok(Hash([0xab; 32])));
        for text in ["", "ab", &"ab".repeat(33), &"xy".repeat(32)] {
            assert!(hash(text).is_err(), "{text}");
        }
        assert_eq!(range::<i64>("-5..7"), Ok(-5..7));
        for text in ["", "3", "3..", "..3", "a..b", "1.5..2"] {
            assert!(range::<i64>(text).is_err(), "{text}");
        }
    }
}
