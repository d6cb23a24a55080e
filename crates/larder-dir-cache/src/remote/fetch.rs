//! What a miss finds in the tier above.

use std::{path::Path, time::Instant};

use larder_storage::{Error, ErrorKind, Key, Object, Result, Version, time::now_ns};

use super::{Lead, Remote};
use crate::{BuildOptions, core::Core, enter::Plan, index::Row};

/// What one look came to.
pub(crate) enum Look {
    /// It is an entry of this root now.
    Fetched(Row),
    Missing,
    /// What has this version was built too long ago.
    Expired(Version),
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

/// Why an entry was not fetched.
enum Unfetched {
    /// The tier above has no whole one.
    There(Error),
    /// This root cannot take it.
    Here(Error),
}

impl From<Error> for Unfetched {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

impl Look {
    /// What an error of the tier above means.
    fn refused(found: &Object, error: Error) -> Self {
        // An archive that goes while it is read was replaced or removed, and so was its manifest.
        match error.kind() {
            ErrorKind::Corrupt | ErrorKind::Conflict => {
                Self::Damaged(found.version().clone(), error)
            }
            _ => Self::Failed(error),
        }
    }
}

impl Core {
    /// Fetches the entry from the tier above, or builds it, there as well as here under the flight of its key.
    pub(crate) fn fetch_or_build(
        &self,
        key: &Key,
        path: &Path,
        options: BuildOptions,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Made<'_>> {
        let turn = match self.remote.get() {
            Some(remote) => self.fetch_or_lead(remote, key, path, options)?,
            None => Turn::Build(None),
        };
        match turn {
            Turn::Nothing(row) => Ok(Made::Fetched(row)),
            Turn::Build(lead) => {
                Ok(Made::Built(self.publish_new(key, path, options, build)?, lead))
            }
        }
    }

    fn fetch_or_lead<'a>(
        &self,
        remote: &'a Remote,
        key: &Key,
        path: &Path,
        options: BuildOptions,
    ) -> Result<Turn<'a>> {
        loop {
            let (seen, damage) = match self.fetch(remote, key, path, options)? {
                Look::Fetched(row) => return Ok(Turn::Nothing(row)),
                Look::Missing => (None, None),
                Look::Expired(version) => (Some(version), None),
                Look::Damaged(version, error) => (Some(version), Some(error)),
                Look::Failed(error) => {
                    self.tell_unfetched(key, &error);
                    return Ok(Turn::Build(None));
                }
            };
            if options.in_place {
                damage.inspect(|error| self.tell_unfetched(key, error));
                return Ok(Turn::Build(None));
            }
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
    pub(crate) fn fetch(
        &self,
        remote: &Remote,
        key: &Key,
        path: &Path,
        options: BuildOptions,
    ) -> Result<Look> {
        let found = match remote.find(key) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Look::Missing),
            Err(error) => return Ok(Look::Failed(error)),
        };
        let manifest = match Remote::parse(key, &found) {
            Ok(manifest) => manifest,
            Err(error) => return Ok(Look::refused(&found, error)),
        };
        let made_at_ns = manifest.built_at_ns;
        if self.expiry(options, made_at_ns).is_some_and(|end_ns| end_ns <= now_ns()) {
            return Ok(Look::Expired(found.version().clone()));
        }
        // On this disk it may take another number of blocks than on its builder's, so that is no more than an estimate.
        let options = BuildOptions { reserve: None, ..options };
        let room = manifest.size.max(manifest.length).min(self.options.evict_above);
        let plan = Plan { room, options, made_at_ns: Some(made_at_ns) };
        let entered = self.enter(key, path, plan, |dir| {
            let start = Instant::now();
            // What it takes to get it back, and not what it took to build it, is what its loss would cost.
            remote.unpack(key, &manifest, dir).map(|()| start.elapsed()).map_err(Unfetched::There)
        });
        match entered {
            Ok(row) => Ok(Look::Fetched(row)),
            Err(Unfetched::There(error)) => Ok(Look::refused(&found, error)),
            // What the manifest says may be wrong, and what is built here may be smaller.
            Err(Unfetched::Here(error)) if error.kind() == ErrorKind::Full => {
                Ok(Look::Failed(error))
            }
            Err(Unfetched::Here(error)) => Err(error),
        }
    }

    pub(crate) fn tell_unfetched(&self, key: &Key, error: &Error) {
        self.watch().failed(error, &format!("looking for {key} in the remote tier"));
    }
}
