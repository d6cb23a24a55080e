use larder_storage::{Error, ErrorKind, Key, Problem, RESERVED_SEGMENT, Result};
use serde::Serialize;

use super::ArrayStore;

/// What [`ArrayStore::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// How many arrays are whole.
    pub arrays: u64,
    /// The arrays that are not, by key.
    pub problems: Vec<Problem>,
    /// Keys of which only the array or only the sidecar is there. They are misses, such as a killed process leaves,
    /// and can be inserted or removed.
    pub incomplete: Vec<String>,
}

impl ArrayStore {
    /// Reads every array whole and checks it against its sidecar. Nothing is loaded or changed. An array of GSEGUtils
    /// has no checksum: its header and length are checked.
    ///
    /// # Errors
    ///
    /// As [`keys`](Self::keys); an array that cannot be read is a problem in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        for (key, found) in self.shared.files.list()? {
            if found.is_pair() {
                report.check(&key, self.shared.files.with(&key, |pair| pair.checksum().map(drop)));
            } else {
                report.incomplete.push(key.to_string());
            }
        }
        Ok(report)
    }
}

impl ArrayStore {
    /// Moves every damaged array aside, with its sidecar, to a new directory `.larder/damaged/<number>/` of the store, for a
    /// person to look at; the keys, which are free then. Nothing is deleted, and what is of another program or of a later
    /// version stays.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the storage is not local; `Io` where something cannot be moved; otherwise as
    /// [`keys`](Self::keys).
    pub fn repair(&self) -> Result<Vec<String>> {
        let Some(root) = self.cache_dir() else {
            let message = "damaged arrays are moved aside on local storage alone: remove them";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let aside = root.join(RESERVED_SEGMENT).join("damaged");
        let free = (0_u64..).map(|number| aside.join(number.to_string()));
        let aside = free.into_iter().find(|dir| !dir.exists()).unwrap_or(aside);
        let mut moved = Vec::new();
        for (key, found) in self.shared.files.list()? {
            if found.is_pair() && self.is_damaged(&key)? {
                let _lease = self.shared.files.lease(&key)?;
                // Somebody may have replaced it since.
                if self.is_damaged(&key)? {
                    self.shared.files.set_aside(&key, root, &aside)?;
                    self.known.forget(&key);
                    moved.push(key.to_string());
                }
            }
        }
        Ok(moved)
    }

    fn is_damaged(&self, key: &Key) -> Result<bool> {
        match self.shared.files.with(key, |pair| pair.checksum().map(drop)) {
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(true),
            Err(error) if [ErrorKind::Io, ErrorKind::Backend].contains(&error.kind()) => Err(error),
            _ => Ok(false),
        }
    }
}

impl VerifyReport {
    /// Whether every array is whole.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn check(&mut self, key: &Key, outcome: Result<Option<()>>) {
        match outcome {
            Ok(Some(())) => self.arrays += 1,
            // Removed since it was listed.
            Ok(None) => {}
            Err(error) => {
                self.problems.push(Problem::new(key, error.chain()));
            }
        }
    }
}
