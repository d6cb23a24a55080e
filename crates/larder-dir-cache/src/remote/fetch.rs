//! What a miss finds in the tier above.

use std::{path::Path, time::Instant};

use larder_storage::{Error, ErrorKind, Key, Result, Version};

use super::{Lead, Remote};
use crate::{core::Core, index::Row};

/// What one look came to.
pub(crate) enum Look {
    /// It is an entry of this root now.
    Fetched(Row),
    Missing,
    /// What has this version there is not whole.
    Damaged(Version, Error),
    Failed(Error),
}

/// How an entry came to be.
pub(crate) enum Made<'a> {
    Fetched(Row),
    /// Whoever leads publishes it for the others.
    Built(Row, Option<Lead<'a>>),
}

/// What is to be done about a miss.
enum Turn<'a> {
    Nothing(Row),
    Build(Option<Lead<'a>>),
}

impl Core {
    /// Fetches the entry from the tier above, or builds it, there as well as here under the flight of its key.
    pub(crate) fn fetch_or_build(
        &self,
        key: &Key,
        path: &Path,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Made<'_>> {
        let turn = match self.remote.get() {
            Some(remote) => self.fetch_or_lead(remote, key, path)?,
            None => Turn::Build(None),
        };
        match turn {
            Turn::Nothing(row) => Ok(Made::Fetched(row)),
            Turn::Build(lead) => Ok(Made::Built(self.publish_new(key, path, build)?, lead)),
        }
    }

    fn fetch_or_lead<'a>(&self, remote: &'a Remote, key: &Key, path: &Path) -> Result<Turn<'a>> {
        loop {
            let (seen, damage) = match self.fetch(remote, key, path)? {
                Look::Fetched(row) => return Ok(Turn::Nothing(row)),
                Look::Missing => (None, None),
                Look::Damaged(version, error) => (Some(version), Some(error)),
                Look::Failed(error) => {
                    self.tell_unfetched(key, &error);
                    return Ok(Turn::Build(None));
                }
            };
            match remote.lead(key, seen) {
                // Somebody has published it meanwhile. It is fetched when others may do so too.
                Ok(None) => {}
                Ok(lead) => {
                    damage.inspect(|error| self.tell_unfetched(key, error));
                    return Ok(Turn::Build(lead));
                }
                Err(error) => {
                    self.tell_unfetched(key, &error);
                    return Ok(Turn::Build(None));
                }
            }
        }
    }

    /// One look into the tier above. Fails where this root does.
    pub(crate) fn fetch(&self, remote: &Remote, key: &Key, path: &Path) -> Result<Look> {
        let found = match remote.find(key) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Look::Missing),
            Err(error) => return Ok(Look::Failed(error)),
        };
        let staged = self.storage.stage().dir()?;
        let start = Instant::now();
        match remote.unpack(key, &found, staged.path()) {
            Ok(tree) => {
                // What it takes to get it back, and not what it took to build it, is what its loss would cost.
                let row = self.publish_tree(key, path, staged, &tree, start.elapsed())?;
                Ok(Look::Fetched(row))
            }
            // An archive that goes while it is read was replaced or removed, and so was its manifest.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Conflict) => {
                Ok(Look::Damaged(found.version().clone(), error))
            }
            Err(error) => Ok(Look::Failed(error)),
        }
    }

    pub(crate) fn tell_unfetched(&self, key: &Key, error: &Error) {
        self.watch().failed(error, &format!("looking for {key} in the remote tier"));
    }
}
