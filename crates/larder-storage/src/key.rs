use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use crate::{Error, ErrorKind, Result};

mod encode;

/// The segment under which Larder keeps what is no object: databases, locks, stage areas.
pub const RESERVED_SEGMENT: &str = ".larder";

/// A validated, hierarchical name of an object, such as `runs/2026/signal.npy`.
///
/// Segments are separated by `/`. A segment is refused on every host, so that a key made on one works on all, when it
/// is empty, `.`, `..` or [`RESERVED_SEGMENT`] in any case; holds a control character, `\` or `:`; ends in a dot or a
/// space; is a Windows device name up to its first dot (`CON`, `nul.txt`, `COM1`, ...); or is longer than
/// [`Key::MAX_SEGMENT_LEN`] bytes. Nothing is ever folded or normalised.
///
/// Any text becomes one legal segment through [`Key::encode`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The most bytes that a key may have.
    pub const MAX_LEN: usize = 1024;
    /// The most bytes that one segment may have: what common file systems allow for a name.
    pub const MAX_SEGMENT_LEN: usize = 255;

    /// Checks `text` and makes a key of it.
    ///
    /// # Errors
    ///
    /// `Invalid` where a rule above is broken; the message names the rule and the segment.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        let text = text.as_ref();
        if text.len() > Self::MAX_LEN {
            return Err(refused(text, &format!("is longer than {} bytes", Self::MAX_LEN)));
        }
        for segment in text.split('/') {
            if let Some(rule) = broken_rule(segment) {
                return Err(refused(text, rule));
            }
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments from the first to the last; there is at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The key without its last segment, if it has several.
    pub fn parent(&self) -> Option<Key> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The key `self/tail`; `tail` may have several segments.
    ///
    /// # Errors
    ///
    /// `Invalid` as [`Key::new`].
    pub fn join(&self, tail: impl AsRef<str>) -> Result<Self> {
        Self::new(format!("{}/{}", self.0, tail.as_ref()))
    }

    /// The key with `suffix` after its last segment, such as `.npy`.
    ///
    /// # Errors
    ///
    /// `Invalid` as [`Key::new`].
    pub fn with_suffix(&self, suffix: &str) -> Result<Self> {
        Self::new(format!("{}{suffix}", self.0))
    }

    /// Whether `self` is `prefix` or lies below it, by whole segments: `ab/c` is not below `a`.
    pub fn is_within(&self, prefix: &Key) -> bool {
        self.0
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Maps any text to one legal segment: reversible by [`Key::decode`], and different texts never meet.
    ///
    /// ASCII letters, digits, `-`, `_`, `.` and non-ASCII characters stay as they are, other bytes become `%XX`;
    /// what would still break a rule (`CON`, a trailing dot, `.larder`) gets one more character escaped.
    /// The empty text becomes `%`.
    ///
    /// # Errors
    ///
    /// `Invalid` where the encoded form has more than [`Key::MAX_SEGMENT_LEN`] bytes.
    pub fn encode(text: &str) -> Result<Self> {
        let encoded = encode::encode(text);
        if encoded.len() > Self::MAX_SEGMENT_LEN {
            let why = format!(
                "needs more than {} bytes as a file name: hash it first",
                Self::MAX_SEGMENT_LEN
            );
            return Err(refused(text, &why));
        }
        Self::new(encoded)
    }

    /// The text that [`Key::encode`] made this segment from; `None` where it made no such segment.
    pub fn decode(segment: &str) -> Option<String> {
        encode::decode(segment)
    }
}

fn refused(text: &str, rule: &str) -> Error {
    let shown: String = text.chars().take(80).collect();
    Error::new(ErrorKind::Invalid, format!("key {shown:?} {rule}"))
}

/// The rule that a segment breaks, if it breaks one.
fn broken_rule(segment: &str) -> Option<&'static str> {
    if segment.is_empty() {
        Some("has an empty segment: a key neither starts nor ends with '/', and has no '//'")
    } else if segment == "." || segment == ".." {
        Some("has a segment '.' or '..'")
    } else if segment.len() > Key::MAX_SEGMENT_LEN {
        Some("has a segment of more than 255 bytes")
    } else if segment.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        Some("holds a control character")
    } else if segment.contains(['\\', ':']) {
        Some("holds '\\' or ':': use '/' between segments")
    } else if segment.ends_with(['.', ' ']) {
        Some("has a segment that ends in a dot or a space")
    } else if is_device_name(segment) {
        Some("has a segment that Windows keeps for a device")
    } else if segment.eq_ignore_ascii_case(RESERVED_SEGMENT) {
        Some("has a segment '.larder', which is reserved")
    } else {
        None
    }
}

/// Whether Windows takes the name for a device: by the stem before the first dot, in any case.
/// Source: <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>.
fn is_device_name(segment: &str) -> bool {
    let stem = segment.find('.').map_or(segment, |dot| &segment[..dot]).trim_end_matches(' ');
    let is = |name: &&str| stem.eq_ignore_ascii_case(name);
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].iter().any(is) {
        return true;
    }
    let port = stem
        .split_at_checked(3)
        .filter(|(kind, _)| kind.eq_ignore_ascii_case("COM") || kind.eq_ignore_ascii_case("LPT"));
    let mut digits = port.map_or("", |(_, number)| number).chars();
    matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.as_str())
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_some_host_cannot_hold() {
        let long = "a".repeat(256);
        let deep = "a/".repeat(600) + "a";
        let bad = [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "./a",
            "a\\b",
            "C:",
            "C:\\a",
            "c:a",
            "a:b",
            "a\nb",
            "a\0b",
            "a\x7f",
            "a.",
            "a ",
            "a/b.",
            "CON",
            "con",
            "nul.txt",
            "Com1",
            "lpt9.x",
            "COM¹",
            "LPT³",
            "CONIN$",
            "conout$.a",
            "AUX .txt",
            "com0",
            ".larder",
            "a/.Larder/b",
            &long,
            &deep,
        ];
        for text in bad {
            let error = Key::new(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text:?}");
            assert_eq!(error.to_string().lines().count(), 1, "{text:?}");
        }
    }

    #[test]
    fn keeps_what_every_host_can_hold() {
        let good = [
            "a", "a/b/c", ".hidden", "a.b.c", "(x),y", "z1e-05", "a.npy", " a", "é", "é", "COM10",
            "COMX", "console", "nulls", "..a", "a..b", "larder", ".larders", "LPT", "com¹x",
        ];
        for text in good {
            assert_eq!(Key::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn takes_itself_apart() {
        let key = Key::new("a/b/c.npy").unwrap();
        assert_eq!(key.segments().collect::<Vec<_>>(), ["a", "b", "c.npy"]);
        assert_eq!(key.name(), "c.npy");
        assert_eq!(key.parent().unwrap().as_str(), "a/b");
        assert_eq!(Key::new("a").unwrap().parent(), None);
        assert_eq!(Key::new("a").unwrap().join("b/c.npy").unwrap(), key);
        assert!(Key::new("a").unwrap().join("../x").is_err());
        assert!(key.is_within(&Key::new("a/b").unwrap()));
        assert!(!Key::new("ab/c").unwrap().is_within(&Key::new("a").unwrap()));
    }

    #[test]
    fn encodes_the_awkward() {
        let cases = [
            ("", "%"),
            ("a/b", "a%2Fb"),
            ("a__b", "a__b"),
            ("..", ".%2E"),
            (".", "%2E"),
            ("CON", "%43ON"),
            ("nul.txt", "%6Eul.txt"),
            ("x.", "x%2E"),
            ("x ", "x%20"),
            (".larder", "%2Elarder"),
            ("100%", "100%25"),
            ("NUL.x.", "%4EUL.x%2E"),
            ("é", "é"),
            ("a\u{0}", "a%00"),
            ("COM¹", "%43OM¹"),
        ];
        for (text, encoded) in cases {
            assert_eq!(Key::encode(text).unwrap().as_str(), encoded);
            assert_eq!(Key::decode(encoded).as_deref(), Some(text));
        }
        assert!(Key::encode(&"x".repeat(255)).is_ok());
        assert_eq!(Key::encode(&"x".repeat(256)).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(Key::encode(&"/".repeat(86)).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn decodes_only_what_it_encoded() {
        for segment in ["%4", "%zz", "a b", "%61", "a%2fb", "", "a/b", "%C3%A9", "%%"] {
            assert_eq!(Key::decode(segment), None, "{segment:?}");
        }
    }

    proptest! {
        #[test]
        fn encoding_is_reversible_and_legal(text in "\\PC{0,40}|[\\x00-\\x7f]{0,60}") {
            let key = Key::encode(&text).unwrap();
            prop_assert_eq!(key.segments().count(), 1);
            let decoded = Key::decode(key.as_str());
            prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            if let Ok(key) = Key::new(&text) {
                prop_assert_eq!(key.as_str(), text.as_str());
            }
            let _ = Key::decode(&text);
        }
    }
}
