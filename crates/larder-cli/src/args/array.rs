//! What can be asked of the arrays.

use std::{ops::Range, path::PathBuf};

use clap::{Args, Subcommand, ValueHint};

use super::range;

/// Which arrays.
#[derive(Debug, Args)]
pub(crate) struct Arrays {
    /// Use the arrays of this directory, such as one of GSEGUtils' `DiskBackedStore`, and not those under the root
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Array {
    /// List the arrays with their types, shapes and sizes
    Ls {
        #[command(flatten)]
        arrays: Arrays,
        /// Only keys that begin so
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Show what is known of an array without loading it
    Info {
        #[command(flatten)]
        arrays: Arrays,
        /// The key
        key: String,
    },
    /// Publish the array of a .npy file under a new key
    Import {
        #[command(flatten)]
        arrays: Arrays,
        /// The .npy file, of any version and byte order
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The key
        key: String,
    },
    /// Write an array to a .npy file, which appears whole and checked
    Export {
        #[command(flatten)]
        arrays: Arrays,
        /// The key
        key: String,
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Print rows, one a line, their elements between tabs
    #[command(
        after_help = "Only these rows are read from the file.\n\nExample:\n  larder array rows chr1/coverage 0..5"
    )]
    Rows {
        #[command(flatten)]
        arrays: Arrays,
        /// The key
        key: String,
        /// From the first of them to before the last, from 0 on
        #[arg(value_name = "A..B", value_parser = range::<usize>)]
        rows: Range<usize>,
    },
    /// Remove arrays with their files
    Purge {
        #[command(flatten)]
        arrays: Arrays,
        /// The keys
        #[arg(required = true)]
        keys: Vec<String>,
    },
    /// Show what it holds
    Status {
        #[command(flatten)]
        arrays: Arrays,
    },
    /// Read everything back and check it against its checksums, where its format has them
    Verify {
        #[command(flatten)]
        arrays: Arrays,
    },
    /// Move what is damaged aside, delete nothing, and make anew what can be derived
    Repair {
        #[command(flatten)]
        arrays: Arrays,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_two_numbers() {
        assert_eq!(range::<usize>("3..17"), Ok(3..17));
        for text in ["", "3", "3..", "..3", "a..b", "3...4", "-1..2"] {
            assert!(range::<usize>(text).is_err(), "{text}");
        }
    }
}
