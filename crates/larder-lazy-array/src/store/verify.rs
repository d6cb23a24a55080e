use larder_storage::{Key, Problem, Result};
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
