use bytes::Bytes;
use larder_storage::{Error, ErrorKind, Result, json};
use serde::{Serialize, de::DeserializeOwned};

/// What a [`ProvenanceStore`](crate::ProvenanceStore) stores: something that becomes bytes, and comes back from them.
///
/// ```
/// use larder_provenance::{Encoded, Payload, ProvenanceStore};
/// use larder_storage::{Error, ErrorKind, Result};
///
/// struct Note(String);
///
/// impl Payload for Note {
///     const KIND: &'static str = "note";
///     const VERSION: u32 = 1;
///
///     fn encode(&self) -> Result<Encoded> {
///         Ok(Encoded::new(self.0.clone()))
///     }
///
///     fn decode(encoded: Encoded, _version: u32) -> Result<Self> {
///         let text = String::from_utf8(encoded.bytes.into());
///         text.map(Note).map_err(|error| Error::new(ErrorKind::Format, "is not a note").with_source(error))
///     }
/// }
///
/// let store = ProvenanceStore::in_memory();
/// let id = store.put(Note("reef".to_owned()), None)?;
/// assert_eq!(store.get(id)?.unwrap().payload.0, "reef");
/// # Ok::<_, Error>(())
/// ```
pub trait Payload: Sized {
    /// The name of this kind of payload. Records of different kinds may share a directory, and never meet.
    const KIND: &'static str;

    /// The version of the bytes and of the summary that [`encode`](Self::encode) makes; from 1 on.
    const VERSION: u32;

    /// The payload as bytes. Equal payloads have equal bytes.
    ///
    /// # Errors
    ///
    /// `Invalid` where the payload cannot be held.
    fn encode(&self) -> Result<Encoded>;

    /// Makes the payload again, of bytes whose digest was checked and that `version`, at most
    /// [`VERSION`](Self::VERSION), wrote.
    ///
    /// # Errors
    ///
    /// `Format` where the bytes are of something else.
    fn decode(encoded: Encoded, version: u32) -> Result<Self>;
}

/// A payload as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The content, which is stored under its digest.
    pub bytes: Bytes,
    /// What the record says about it: a JSON object in text form, `{}` where there is nothing to say. A listing shows
    /// it without reading the content.
    pub summary: String,
}

impl Encoded {
    /// A payload with an empty summary.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), summary: "{}".to_owned() }
    }
}

/// Bytes, as they are.
impl Payload for Bytes {
    const KIND: &'static str = "bytes";
    const VERSION: u32 = 1;

    fn encode(&self) -> Result<Encoded> {
        Ok(Encoded::new(self.clone()))
    }

    fn decode(encoded: Encoded, _version: u32) -> Result<Self> {
        Ok(encoded.bytes)
    }
}

/// Bytes, as they are: the same kind as [`Bytes`].
impl Payload for Vec<u8> {
    const KIND: &'static str = <Bytes as Payload>::KIND;
    const VERSION: u32 = <Bytes as Payload>::VERSION;

    fn encode(&self) -> Result<Encoded> {
        Ok(Encoded::new(self.clone()))
    }

    fn decode(encoded: Encoded, _version: u32) -> Result<Self> {
        Ok(encoded.bytes.into())
    }
}

/// A payload of any type that serde can write, stored as JSON text.
///
/// JSON has no NaN and no infinities, so a payload that holds one is `Invalid`, and so is one that nests deeper than 127
/// levels, which could not be read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: Serialize + DeserializeOwned> Payload for Json<T> {
    const KIND: &'static str = "json";
    const VERSION: u32 = 1;

    fn encode(&self) -> Result<Encoded> {
        json::encode(&self.0).map(Encoded::new)
    }

    fn decode(encoded: Encoded, _version: u32) -> Result<Self> {
        from_json(&encoded.bytes).map(Json)
    }
}

/// Reads JSON whose bytes are known to be those that were written.
pub(crate) fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        Error::new(
            ErrorKind::Format,
            "the payload is JSON of another type: it was stored as something else",
        )
        .with_source(error)
    })
}
