use std::{borrow::Cow, fmt, str::FromStr};

use larder_storage::{Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// The name of a stored result: a UUID of version 7, so ids sort by the time they were made.
///
/// `Display` writes the 36 characters of the usual hyphenated form, in lower case.
/// Source: <https://www.rfc-editor.org/rfc/rfc9562>.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Uuid);

impl Id {
    /// A new id, greater than every one that this process made before.
    pub(crate) fn next() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as 16 bytes, the most significant first.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id that has these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl FromStr for Id {
    type Err = Error;

    /// Reads a UUID of any version, since ids may come from other stores.
    fn from_str(text: &str) -> Result<Self> {
        Uuid::try_parse(text).map(Self).map_err(|error| {
            let shown: String = text.chars().take(80).collect();
            Error::new(ErrorKind::Invalid, format!("{shown:?} is not an id: an id is a UUID"))
                .with_source(error)
        })
    }
}

impl Serialize for Id {
    /// As `Display` writes it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_read_as_written_and_rise() {
        let ids: Vec<Id> = (0..10_000).map(|_| Id::next()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[0].to_string().parse::<Id>().unwrap(), ids[0]);
        assert_eq!(Id::from_bytes(*ids[1].as_bytes()), ids[1]);
        assert_eq!(ids[0].to_string().as_bytes()[14], b'7');
    }

    #[test]
    fn what_is_no_uuid_is_invalid() {
        for text in ["", "abc", "00000000-0000-0000-0000-00000000000g", "a\nb"] {
            let error = text.parse::<Id>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text:?}");
            assert_eq!(error.to_string().lines().count(), 1, "{text:?}");
        }
    }
}
