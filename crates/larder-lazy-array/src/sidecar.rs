//! The `.meta.json` beside each array.

use larder_storage::{Error, ErrorKind, Key, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ArrayConfig, DType, layout::Layout, npy::Header};

/// The version of the pair of an array and its sidecar: the field `larder.format_version` of the sidecar.
pub const FORMAT_VERSION: u32 = 1;

/// The version of the sidecar as GSEGUtils 0.6 reads and writes it: the field `schema_version`.
pub const SCHEMA_FORMAT_VERSION: u32 = 1;

const CLASS: &str = "DiskBackedNDArray";

/// A sidecar: the fields of GSEGUtils, ours under `larder`, and whatever else was there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    schema_version: u32,
    lazy_disk_cache_class: String,
    shape: Vec<usize>,
    dtype: String,
    #[serde(default)]
    purge_disk_on_gc: bool,
    #[serde(default)]
    automatic_offloading: bool,
    #[serde(default)]
    enable_caching: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    larder: Option<Ours>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ours {
    format_version: u32,
    /// What the array's file may be, the newest first.
    files: Vec<Stamp>,
}

/// One file of an array, told apart by its checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    shape: Vec<usize>,
    dtype: String,
    fortran_order: bool,
    /// The length of the file, with its header.
    bytes: u64,
    /// The CRC-32C of the file, with its header.
    crc32c: u32,
}

impl Stamp {
    pub(crate) fn new(dtype: DType, layout: &Layout, bytes: u64, crc32c: u32) -> Self {
        Self {
            shape: layout.shape.clone(),
            dtype: dtype.descr().to_owned(),
            fortran_order: layout.fortran_order,
            bytes,
            crc32c,
        }
    }

    /// Whether a file of this length and header can be the one meant.
    fn fits(&self, header: &Header, bytes: u64) -> bool {
        describes(&self.shape, &self.dtype, header)
            && self.fortran_order == header.layout.fortran_order
            && self.bytes == bytes
    }

    fn is(&self, bytes: u64, crc32c: u32) -> bool {
        (self.bytes, self.crc32c) == (bytes, crc32c)
    }
}

fn describes(shape: &[usize], dtype: &str, header: &Header) -> bool {
    let dtype = DType::parse(dtype).map(|(dtype, _)| dtype);
    shape == header.layout.shape && dtype == Some(header.dtype)
}

impl Sidecar {
    /// The sidecar of a new array.
    pub(crate) fn new(stamp: Stamp, config: &ArrayConfig) -> Self {
        let keeping = config.keeping();
        Self {
            schema_version: SCHEMA_FORMAT_VERSION,
            lazy_disk_cache_class: CLASS.to_owned(),
            shape: stamp.shape.clone(),
            dtype: stamp.dtype.clone(),
            purge_disk_on_gc: keeping.purge,
            automatic_offloading: keeping.automatic,
            // GSEGUtils would copy the array to a file of its own with each load.
            enable_caching: false,
            larder: Some(Ours { format_version: FORMAT_VERSION, files: vec![stamp] }),
            rest: Map::new(),
        }
    }

    /// The sidecar while the file `old` is replaced by `new`, and after that.
    pub(crate) fn replaced(self, new: Stamp, old: Stamp) -> Self {
        Self {
            shape: new.shape.clone(),
            dtype: new.dtype.clone(),
            larder: Some(Ours { format_version: FORMAT_VERSION, files: vec![new, old] }),
            ..self
        }
    }

    /// Reads the sidecar stored as `key`.
    pub(crate) fn parse(key: &Key, json: &[u8]) -> Result<Self> {
        let damaged = |error: serde_json::Error| {
            Error::new(ErrorKind::Corrupt, "is no sidecar of an array")
                .at_key(key)
                .with_source(error)
        };
        let value: Value = serde_json::from_slice(json).map_err(damaged)?;
        check_versions(&value).map_err(|error| error.at_key(key))?;
        let sidecar: Self = serde_json::from_value(value).map_err(damaged)?;
        if sidecar.newest().is_some_and(|newest| !sidecar.is_of(newest)) {
            let message = "describes another array to GSEGUtils than to Larder";
            return Err(Error::new(ErrorKind::Corrupt, message).at_key(key));
        }
        Ok(sidecar)
    }

    /// Whether the fields of GSEGUtils describe this file.
    fn is_of(&self, stamp: &Stamp) -> bool {
        (&self.shape, &self.dtype) == (&stamp.shape, &stamp.dtype)
    }

    /// The sidecar as JSON, one field a line.
    pub(crate) fn json(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec_pretty(self);
        json.map_err(|error| {
            Error::new(ErrorKind::Invalid, "the sidecar has no JSON form").with_source(error)
        })
    }

    /// Whether a file of this length and header can be the array that the sidecar describes.
    pub(crate) fn fits(&self, header: &Header, bytes: u64) -> bool {
        match &self.larder {
            Some(ours) => ours.files.iter().any(|stamp| stamp.fits(header, bytes)),
            None => describes(&self.shape, &self.dtype, header),
        }
    }

    /// The one file of this length and header that is named, where there is no other.
    pub(crate) fn only_fit(&self, header: &Header, bytes: u64) -> Option<&Stamp> {
        let mut fits = self.larder.as_ref()?.files.iter().filter(|stamp| stamp.fits(header, bytes));
        fits.next().filter(|_| fits.next().is_none())
    }

    /// Whether the file is one that the sidecar names. One without our fields names none and takes any.
    pub(crate) fn accepts(&self, bytes: u64, crc32c: u32) -> bool {
        let is = |ours: &Ours| ours.files.iter().any(|stamp| stamp.is(bytes, crc32c));
        self.larder.as_ref().is_none_or(is)
    }

    /// The file that was published last, or is being published.
    pub(crate) fn newest(&self) -> Option<&Stamp> {
        self.larder.as_ref()?.files.first()
    }
}

/// Looks at the versions alone, for a later one may have other fields.
fn check_versions(value: &Value) -> Result<()> {
    let format = |message: String| Err(Error::new(ErrorKind::Format, message));
    match value.get("schema_version") {
        Some(version) if *version != SCHEMA_FORMAT_VERSION => {
            return format(format!("has schema_version {version}, unknown here: upgrade Larder"));
        }
        _ => {}
    }
    match value.get("lazy_disk_cache_class") {
        Some(class) if class != CLASS => return format(format!("is of the unknown class {class}")),
        _ => {}
    }
    match value.pointer("/larder/format_version") {
        Some(version) if *version != FORMAT_VERSION => {
            format(format!("has Larder's format version {version}, unknown here: upgrade Larder"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = r#"{"schema_version": 1, "lazy_disk_cache_class": "DiskBackedNDArray",
        "shape": [2, 3], "dtype": "<f8", "purge_disk_on_gc": true, "automatic_offloading": false,
        "enable_caching": true, "note": "kept"}"#;

    fn parse(json: &str) -> Result<Sidecar> {
        Sidecar::parse(&Key::new("a.meta.json").unwrap(), json.as_bytes())
    }

    fn stamp(crc32c: u32) -> Stamp {
        let layout = Layout { shape: vec![2, 3], fortran_order: false };
        Stamp::new(DType::F64, &layout, 176, crc32c)
    }

    #[test]
    fn keeps_what_others_wrote() {
        let sidecar = parse(SEED).unwrap();
        assert!(sidecar.accepts(1, 2));
        let replaced = sidecar.replaced(stamp(2), stamp(1));
        let value: Value = serde_json::from_slice(&replaced.json().unwrap()).unwrap();
        assert_eq!(value["purge_disk_on_gc"], true);
        assert_eq!(value["note"], "kept");
        assert_eq!(value["larder"]["files"][1]["crc32c"], 1);
    }

    #[test]
    fn takes_the_old_file_and_the_new_one_and_no_other() {
        let sidecar = Sidecar::new(stamp(1), &ArrayConfig::default()).replaced(stamp(2), stamp(1));
        let taken: Vec<_> = (0..4).map(|crc| sidecar.accepts(176, crc)).collect();
        assert_eq!(taken, [false, true, true, false]);
        assert!(!sidecar.accepts(177, 1));
        assert_eq!(sidecar.newest(), Some(&stamp(2)));
    }

    #[test]
    fn what_the_python_package_reads_has_to_be_what_is_read_here() {
        let whole =
            String::from_utf8(Sidecar::new(stamp(1), &ArrayConfig::default()).json().unwrap())
                .unwrap();
        assert!(parse(&whole).is_ok());
        for (from, to) in [("\"<f8\"", "\"<i8\""), ("\"<f8\"", "\">f8\""), ("    3\n", "    7\n")] {
            let damaged = whole.replacen(from, to, 1);
            assert_ne!(damaged, whole);
            assert_eq!(parse(&damaged).unwrap_err().kind(), ErrorKind::Corrupt, "{damaged}");
        }
    }

    #[test]
    fn tells_future_and_foreign_from_damaged() {
        let kind = |json: &str| parse(json).expect_err(json).kind();
        let future = SEED.replace("\"schema_version\": 1", "\"schema_version\": 2");
        assert_eq!(kind(&future), ErrorKind::Format);
        assert_eq!(kind(&SEED.replace("DiskBacked", "Other")), ErrorKind::Format);
        let ours = SEED.replace("\"note\": \"kept\"", "\"larder\": {\"format_version\": 2}");
        assert_eq!(kind(&ours), ErrorKind::Format);
        for json in ["", "{", "[]", "null", "{}", "{\"schema_version\": 1}"] {
            assert_eq!(kind(json), ErrorKind::Corrupt, "{json}");
        }
        assert_eq!(kind(&SEED.replace("[2, 3]", "[2, -3]")), ErrorKind::Corrupt);
    }
}
