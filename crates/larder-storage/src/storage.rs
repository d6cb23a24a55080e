//! The contract that every store stands on.

use std::{fmt, fs::File, io, path::Path, sync::OnceLock, time::SystemTime};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Digest, Error, ErrorKind, Key, Result, json};

/// Named byte objects: the one contract on which all stores are built.
///
/// The trait is small, synchronous and object-safe, and nothing in it has a default implementation: conveniences live
/// in [`StorageExt`]. A miss is `Ok(None)`, never an error. Whoever implements it runs
/// `testing::conformance` (feature `testing`).
///
/// `a` and `a/b` cannot both be objects: the second one is `Invalid` where the storage can tell.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The whole object, or `None` where there is none.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the storage fails.
    fn get(&self, key: &Key) -> Result<Option<Object>>;

    /// `len` bytes of the object from `offset` on: one request where the storage is remote.
    ///
    /// # Errors
    ///
    /// `Invalid` where the range ends after the object; `Io` or `Backend` where the storage fails.
    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>>;

    /// A reader of parts of the object, pinned to the version that is there now.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the storage fails.
    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>>;

    /// Publishes `bytes` whole, if the condition holds.
    ///
    /// # Errors
    ///
    /// `Conflict` where the condition does not hold; `Invalid` where the key lies inside or above an object;
    /// `Full`, `Io` or `Backend` where the storage fails. What is there then is the old object or the new one, and
    /// never a part of either.
    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()>;

    /// Starts an object that is written piece by piece, seen by nobody before [`Upload::commit`].
    ///
    /// # Errors
    ///
    /// As [`put`](Storage::put).
    fn create(&self, key: &Key) -> Result<Box<dyn Upload>>;

    /// Removes the object; whether there was one.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the storage fails.
    fn remove(&self, key: &Key) -> Result<bool>;

    /// The keys that are `prefix` or lie below it (all, without one), lazily and in no promised order.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the storage fails, also from the iterator.
    fn keys(&self, prefix: Option<&Key>) -> Result<Keys<'_>>;

    /// As [`keys`](Storage::keys), with the length and time of each object: on a local disk, a system call more for
    /// each.
    ///
    /// # Errors
    ///
    /// As [`keys`](Storage::keys).
    fn list(&self, prefix: Option<&Key>) -> Result<Entries<'_>>;

    /// The local directory that holds the objects as files named by their keys, where there is one: for mapping
    /// files, for databases and for directories.
    fn local_root(&self) -> Option<&Path>;
}

/// What [`Storage::keys`] returns.
pub type Keys<'a> = Box<dyn Iterator<Item = Result<Key>> + Send + 'a>;

/// What [`Storage::list`] returns.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<Entry>> + Send + 'a>;

/// One object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: Key,
    /// Its length in bytes.
    pub len: u64,
    /// When it was last published.
    pub modified: SystemTime,
}

/// The condition of a [`put`](Storage::put) or a [`commit`](Upload::commit).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutIf {
    /// Whatever is there.
    Always,
    /// Only where there is no object yet.
    Absent,
    /// Only where the object still has this version.
    Version(Version),
}

impl PutIf {
    /// Why a put did not happen whose condition does not hold.
    pub(crate) fn lost(&self) -> Error {
        let why = match self {
            Self::Version(_) => "was changed or removed meanwhile: read it again",
            Self::Absent | Self::Always => "exists already",
        };
        Error::new(ErrorKind::Conflict, why)
    }
}

/// A token for the content of an object: equal tokens mean equal bytes, as surely as the storage's tokens do. Local and
/// memory storage use BLAKE3; on a server it is the server's ETag, on S3 mostly MD5, which stands against accidents and
/// not against whoever chooses the bytes.
///
/// That a token comes back does not mean that nothing happened in between: writing the old bytes again restores it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(Box<str>);

impl Version {
    /// The version of content that is told apart by its BLAKE3 digest.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Digest::of(bytes).to_string().into())
    }

    /// A version that the storage itself names, such as an ETag.
    pub fn from_token(token: impl Into<Box<str>>) -> Self {
        Self(token.into())
    }

    /// The token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The bytes of an object, and the version that they are of.
#[derive(Clone, Debug)]
pub struct Object {
    bytes: Bytes,
    version: OnceLock<Version>,
}

impl Object {
    /// An object whose version is worked out from its content, when asked.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, version: OnceLock::new() }
    }

    /// An object whose version the storage told.
    pub fn with_version(bytes: Bytes, version: Version) -> Self {
        Self { bytes, version: version.into() }
    }

    /// The content.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The content, by value.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The version, for [`PutIf::Version`]. The first call may hash the content.
    pub fn version(&self) -> &Version {
        self.version.get_or_init(|| Version::of(&self.bytes))
    }
}

/// Positioned reads of one version of an object, whatever happens to its name meanwhile.
#[expect(clippy::len_without_is_empty, reason = "a length in bytes, not a collection")]
pub trait ReadAt: Send + Sync + fmt::Debug {
    /// The length of the object in bytes.
    fn len(&self) -> u64;

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// `Invalid` where the range ends after the object; `Corrupt` where the object was cut short underneath;
    /// `Conflict` where it was replaced or removed and the storage keeps no version without a name; `Io` or `Backend`
    /// where the storage fails.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;

    /// Whether the version that is read here is still the one under the name, as far as that is known without a
    /// request. Where it takes one, this is true, and [`read_at`](ReadAt::read_at) is a `Conflict` when it is not so.
    fn is_current(&self) -> bool;

    /// The open file, where the object is a file of its own that is never changed: for mapping it, and for telling the
    /// kernel how it will be read.
    fn file(&self) -> Option<&PublishedFile>;
}

/// An open file that [`LocalStorage`](crate::LocalStorage) published, and that nobody writes any more: it loses its name
/// when its object is replaced or removed. Only that storage makes one, so whoever maps it may rely on that as far as
/// other programs keep their hands off its directory.
#[derive(Debug)]
pub struct PublishedFile(pub(crate) File);

impl PublishedFile {
    /// The file, to read.
    pub fn file(&self) -> &File {
        &self.0
    }
}

/// An object under construction. Dropping it without [`commit`](Upload::commit) leaves no trace.
#[must_use = "an upload that is not committed is thrown away"]
pub trait Upload: io::Write + Send + fmt::Debug {
    /// Publishes what was written, if the condition holds.
    ///
    /// # Errors
    ///
    /// As [`Storage::put`]; also where an earlier write failed, and then nothing is published. `Unsupported`, and
    /// nothing is published, where the storage can keep a condition of a put alone and this upload has become too long
    /// to be one: put it whole, or without a condition.
    fn commit(self: Box<Self>, when: PutIf) -> Result<()>;
}

/// Conveniences on every [`Storage`].
pub trait StorageExt: Storage {
    /// The length of the object in bytes.
    ///
    /// # Errors
    ///
    /// As [`Storage::open`].
    fn head(&self, key: &Key) -> Result<Option<u64>> {
        Ok(self.open(key)?.map(|reader| reader.len()))
    }

    /// The object as text.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it is not UTF-8; otherwise as [`Storage::get`].
    fn get_text(&self, key: &Key) -> Result<Option<String>> {
        let Some(object) = self.get(key)? else { return Ok(None) };
        let text = String::from_utf8(object.into_bytes().into());
        text.map(Some).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "is not UTF-8 text").at_key(key).with_source(error)
        })
    }

    /// The object, decoded from JSON.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it is no JSON of that type; otherwise as [`Storage::get`].
    fn get_json<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>> {
        let Some(object) = self.get(key)? else { return Ok(None) };
        let value = serde_json::from_slice(object.bytes());
        value.map(Some).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "is not the JSON expected here")
                .at_key(key)
                .with_source(error)
        })
    }

    /// Publishes `value` as JSON.
    ///
    /// # Errors
    ///
    /// `Invalid` where the value has no JSON form; otherwise as [`Storage::put`].
    fn put_json<T: Serialize + ?Sized>(&self, key: &Key, value: &T, when: PutIf) -> Result<()> {
        let text = json::encode(value).map_err(|error| error.at_key(key))?;
        self.put(key, text.into(), when)
    }
}

impl<S: Storage + ?Sized> StorageExt for S {}

/// `len` bytes from `offset` on of an object that was opened as `key`.
pub(crate) fn read_range(reader: &dyn ReadAt, key: &Key, offset: u64, len: usize) -> Result<Bytes> {
    // Before memory is taken for what cannot be there.
    check_range(reader.len(), offset, len).map_err(|error| error.at_key(key))?;
    let mut bytes = Vec::new();
    let room = bytes.try_reserve_exact(len);
    room.map_err(|_| {
        Error::io(io::ErrorKind::OutOfMemory.into(), "is too large to read").at_key(key)
    })?;
    bytes.resize(len, 0);
    reader.read_at(offset, &mut bytes)?;
    Ok(bytes.into())
}

/// Checks that `len` bytes from `offset` on lie within an object of `size` bytes.
pub(crate) fn check_range(size: u64, offset: u64, len: usize) -> Result<()> {
    if offset.checked_add(len as u64).is_some_and(|end| end <= size) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        format!("{len} bytes from {offset} on end after the object's {size} bytes"),
    ))
}
