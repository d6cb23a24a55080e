//! Objects on S3, GCS, Azure and any other store that `object_store` speaks to.

use std::{fmt, path::Path as LocalPath, sync::Arc};

use bytes::Bytes;
use object_store::{GetOptions, ObjectStore, path::Path};

use crate::{
    Error, ErrorKind, Key, Result,
    storage::{Entries, Keys, Object, PutIf, ReadAt, Storage, Upload},
};

mod error;
mod listing;
mod options;
mod probe;
mod put;
mod reader;
mod runtime;
mod upload;
mod version;

pub use options::Options;

pub(crate) use error::failed;

/// The most bytes of a prefix: one segment of any key fits below it.
const LONGEST_PREFIX: usize = Key::MAX_LEN - 1 - Key::MAX_SEGMENT_LEN;

/// Objects in a remote store, named by a prefix and their keys, verbatim.
///
/// Every call blocks its thread until the server has answered; the requests run on one thread of Larder's own. Calls
/// from asynchronous code never panic, but they hold up the thread they are made on: make them from
/// `spawn_blocking`, or from a thread of one's own.
///
/// # Guarantees
///
/// - A conditional [`put`](Storage::put) is as atomic as the server makes it. [`new`](ObjectStorage::new) tries it out
///   and refuses a server that ignores or races conditions, unless [`Options::probe`] is off.
/// - A put carries a random nonce (the metadata `lardernonce`), so that one's own success whose answer was lost is
///   not taken for another writer's.
/// - An opened reader gives bytes of the version that it opened; once that is replaced or removed, `Conflict`.
/// - An upload is sent in parts of 8 MiB, of which two are in memory.
///
/// # Limits
///
/// - `a` and `a/b` can both be objects where the server allows it.
/// - A [`Version`](crate::Version) is as strong as the server's ETag. On S3 that is mostly an MD5 digest, so whoever
///   chooses the bytes can make two objects of one version. Then an update may replace the one for the other, and a
///   reader give bytes of both.
/// - What a server names no strong ETag of, as some web servers do, is got whole or by ranges; to
///   [`open`](Storage::open) it is `Unsupported`.
/// - A "folder" of other programs, an empty object whose name ends in `/`, is listed as an object without the `/`,
///   which is not there when one asks for it: remove such markers, or use a prefix of one's own.
/// - An object of another program whose name holds an empty segment, `.` or `..`, such as `x//y`, ends every listing
///   that comes across it with a `Format` error that names it.
/// - A put whose answer was lost, and whose object was replaced before one could look, is an error all the
///   same, `Backend` or `Conflict`, although it had succeeded: whoever then does it again does it twice.
/// - Two concurrent [`remove`](Storage::remove)s of one object may both report that it was there.
/// - An upload of 8 MiB or more is committed without a condition, or is `Unsupported`: the parts of one cannot be completed
///   under a condition. A put takes one at any length.
/// - An upload holds 10,000 parts at most, 80 GiB. A killed process leaves its parts on the server, unseen: have the
///   bucket expire incomplete multipart uploads.
#[derive(Clone)]
pub struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    read_only: bool,
}

impl ObjectStorage {
    /// Objects in `store` below `prefix` (`""` for the whole store), once it has shown what it can do.
    ///
    /// # Errors
    ///
    /// `Invalid` where the prefix is no path; `Unsupported` where the server does not keep conditions; `NotFound`
    /// where there is no such bucket; `Io` where the server refuses the credentials; `Backend` where it is out of
    /// reach or fails.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, options: &Options) -> Result<Self> {
        let prefix = checked(prefix)?;
        let storage = Self { store, prefix, read_only: options.read_only };
        if options.probe && !storage.read_only {
            probe::run(&storage.store, &storage.prefix)?;
        }
        Ok(storage)
    }

    /// Where the object of `key` lies in the store.
    fn place(&self, key: &Key) -> Result<Path> {
        let path = match self.prefix.as_ref() {
            "" => key.to_string(),
            prefix => format!("{prefix}/{key}"),
        };
        if path.len() > Key::MAX_LEN {
            let why = format!(
                "with its prefix is longer than {} bytes: no server takes it",
                Key::MAX_LEN
            );
            return Err(Error::new(ErrorKind::Invalid, why).at_key(key));
        }
        Path::parse(path)
            .map_err(|error| failed(error.into(), "cannot name the object").at_key(key))
    }

    fn place_to_write(&self, key: &Key) -> Result<Path> {
        if self.read_only {
            let why = "cannot be written: web servers are opened for reading only";
            return Err(Error::new(ErrorKind::Unsupported, why).at_key(key));
        }
        self.place(key)
    }
}

impl Storage for ObjectStorage {
    fn get(&self, key: &Key) -> Result<Option<Object>> {
        let (store, path) = (self.store.clone(), self.place(key)?);
        let outcome = runtime::wait(async move {
            let found = store.get_opts(&path, GetOptions::default()).await?;
            let version = version::of(&found.meta);
            Ok((found.bytes().await?, version))
        })?;
        let found =
            error::found(outcome).map_err(|error| failed(error, "cannot get").at_key(key))?;
        Ok(found.map(|(bytes, version)| match version {
            Some(version) => Object::with_version(bytes, version),
            None => Object::new(bytes),
        }))
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>> {
        reader::range(self.store.clone(), self.place(key)?, key, offset, len)
            .map_err(|error| error.at_key(key))
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>> {
        let reader = reader::Pinned::open(self.store.clone(), self.place(key)?);
        Ok(reader.map_err(|error| error.at_key(key))?.map(|reader| Box::new(reader) as _))
    }

    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()> {
        let path = self.place_to_write(key)?;
        let mode = put::mode(&when).map_err(|error| error.at_key(key))?;
        let outcome = runtime::wait(put::put(self.store.clone(), path, bytes, mode))?;
        outcome.map_err(|error| error::not_put(error, &when).at_key(key))
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        let path = self.place_to_write(key)?;
        Ok(Box::new(upload::Parts::new(self.store.clone(), path, key)))
    }

    /// Asks whether the object is there, then deletes it: the protocols do not tell.
    fn remove(&self, key: &Key) -> Result<bool> {
        let (store, path) = (self.store.clone(), self.place_to_write(key)?);
        let outcome = runtime::wait(async move {
            put::head(&*store, &path).await?;
            put::delete(&*store, path).await
        })?;
        let removed =
            error::found(outcome).map_err(|error| failed(error, "cannot remove").at_key(key))?;
        Ok(removed.is_some())
    }

    fn keys(&self, prefix: Option<&Key>) -> Result<Keys<'_>> {
        Ok(Box::new(self.list(prefix)?.map(|found| found.map(|entry| entry.key))))
    }

    fn list(&self, prefix: Option<&Key>) -> Result<Entries<'_>> {
        let start = prefix.map(|key| self.place(key)).transpose()?;
        Ok(Box::new(listing::Listing::new(self.store.clone(), &self.prefix, start)?))
    }

    fn local_root(&self) -> Option<&LocalPath> {
        None
    }
}

/// A prefix below which there is room for keys, and that is a name of objects on every server.
fn checked(prefix: &str) -> Result<Path> {
    let refused = |why| Error::new(ErrorKind::Invalid, format!("the prefix of the store {why}"));
    if prefix.len() > LONGEST_PREFIX {
        let why = format!("is longer than {LONGEST_PREFIX} bytes: no keys would fit below it");
        return Err(refused(why));
    }
    if prefix.contains(char::is_control) {
        return Err(refused("holds a control character: leave it out".to_owned()));
    }
    Path::parse(prefix).map_err(|error| {
        let why = "has an empty segment, '.' or '..': leave it out".to_owned();
        refused(why).with_source(error)
    })
}

// What a client prints of itself in full may hold its credentials.
impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage")
            .field("store", &format_args!("{}", self.store))
            .field("prefix", &self.prefix.as_ref())
            .field("read_only", &self.read_only)
            .finish()
    }
}

#[cfg(test)]
mod tests;
