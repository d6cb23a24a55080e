//! What can be asked of the lookup cache.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueHint};

/// Which lookup cache.
#[derive(Debug, Args)]
pub(crate) struct Cache {
    /// The name of the lookup cache: each namespace has keys of its own
    pub(crate) namespace: String,

    /// Use the JSON document NAMESPACE.json in this directory, or at this URL of a store such as s3://bucket/prefix: the
    /// file of VmaxBuilder's LookupCache, and not the database under the root
    #[arg(long, value_name = "DIR|URL", value_hint = ValueHint::DirPath)]
    pub(crate) document: Option<PathBuf>,
}

/// One lookup cache, or all under the root.
#[derive(Debug, Args)]
pub(crate) struct AnyCache {
    /// The name of one lookup cache [default: all under the root]
    pub(crate) namespace: Option<String>,

    /// Look at the JSON document NAMESPACE.json in this directory, or at this URL of a store: the file of VmaxBuilder's
    /// LookupCache
    #[arg(long, value_name = "DIR|URL", value_hint = ValueHint::DirPath, requires = "namespace")]
    pub(crate) document: Option<PathBuf>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Kv {
    /// Print the value of a key, as the JSON that is stored
    #[command(
        after_help = "Where the key has no value, or its time is over, nothing is printed and the exit code is 3."
    )]
    Get {
        #[command(flatten)]
        cache: Cache,
        /// The key
        key: String,
        /// Print a string as it is, without quotes and escapes
        #[arg(long)]
        text: bool,
    },
    /// Store a value under a key, instead of the one that is there
    #[command(after_help = "The namespace, and the root, are made where they are missing.\n\n\
                      Examples:\n  \
                      larder kv set ensembl BRCA2 '{\"length\": 84195}'\n  \
                      larder kv set ensembl note --text 'from release 112' --ttl 7d --tag notes\n  \
                      curl https://example.org/gene.json | larder kv set ensembl TP53 -")]
    Set(Set),
    /// Remove entries
    #[command(
        after_help = "All are removed or, where that fails, none. A key that is not there is named, and is no error."
    )]
    Rm {
        #[command(flatten)]
        cache: Cache,
        /// The keys
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Print the keys, one a line, in their order
    #[command(
        after_help = "The order is that in which they were first set. A key may hold the end of a line: --json tells such keys apart."
    )]
    Keys {
        #[command(flatten)]
        cache: Cache,
        /// Only keys that begin with this
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: String,
    },
    /// Set every entry of a JSON document
    #[command(
        after_help = "The document may be a file of VmaxBuilder's LookupCache. All entries are set or, where that fails, none. Those that cannot be read back (NaN, Infinity, \
                      half a surrogate pair) are left out and named, and then the exit code is 1.\n\
                      The namespace, and the root, are made where they are missing."
    )]
    Import {
        #[command(flatten)]
        cache: Cache,
        /// The document: one JSON object
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Write all entries as one JSON document
    #[command(
        after_help = "VmaxBuilder's LookupCache reads it. Values are written as they were stored, in their order."
    )]
    Export {
        #[command(flatten)]
        cache: Cache,
        /// Write this file, whole or not at all, instead of standard output
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
    },
    /// Print which keys of standard input have a value
    #[command(
        after_help = "Keys are read one a line, the empty line too. Order and repetitions are kept. With --json it prints both, as {\"hits\": [...], \"misses\": [...]}.\n\n\
                      Example:\n  \
                      larder kv hits ensembl --misses < symbols.txt > still-to-fetch.txt"
    )]
    Hits {
        #[command(flatten)]
        cache: Cache,
        /// Print the keys that have no value instead
        #[arg(long)]
        misses: bool,
    },
    /// Show how many entries there are, and how large it is
    #[command(visible_alias = "stats")]
    Status(AnyCache),
    /// Remove all entries at once, or those with a tag
    Clear {
        #[command(flatten)]
        cache: Cache,
        /// Only entries that were set with this tag
        #[arg(long)]
        tag: Option<String>,
    },
    /// Give the space of removed entries back to the disk
    #[command(after_help = "It writes the whole database anew, and other writers wait meanwhile.")]
    Vacuum {
        #[command(flatten)]
        cache: Cache,
    },
    /// Read everything back and check it
    Verify(AnyCache),
    /// Move damaged databases and documents aside, and delete nothing
    #[command(
        after_help = "The next write begins an empty database, and an empty document takes the place of a damaged one. \
                      A single value that `verify` names is mended by `set` or `rm`."
    )]
    Repair(AnyCache),
}

/// What is to be stored.
#[derive(Debug, Args)]
pub(crate) struct Set {
    #[command(flatten)]
    pub(crate) cache: Cache,
    /// The key
    pub(crate) key: String,
    /// The value as JSON, or - to read it from standard input
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: String,
    /// Take the value as plain text, not as JSON, and store it as a string
    #[arg(long)]
    pub(crate) text: bool,
    /// How long the entry lives: a number and s, m, h, d or w, such as 90s or 7d [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) ttl: Option<Duration>,
    /// A tag for `clear --tag`; may be given several times
    #[arg(long)]
    pub(crate) tag: Vec<String>,
}

/// A number and a unit.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a number above 0 and s, m, h, d or w, such as 90s or 7d".to_owned();
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        Some('w') => 7 * 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        let cases = [("1s", 1), ("90s", 90), ("15m", 900), ("1h", 3600), ("2d", 172_800)];
        for (text, seconds) in cases.into_iter().chain([("1w", 604_800)]) {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1", "0s", "-1h", "1.5h", "1 h", "1y", "1é", "99999999999999999999w"]
        {
            assert!(time(text).is_err(), "{text}");
        }
        assert!(time(&format!("{}w", u64::MAX)).is_err());
    }
}
