use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether a record's payload is there and can be relied on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there.
    #[default]
    Live,
    /// Something that it was made from was [invalidated](crate::ProvenanceStore::invalidate): it is live again as soon
    /// as all its inputs are, with the payloads that they had.
    Doubtful,
    /// It was given up to free space, and was sound: what was made from it stays live.
    Collected,
    /// It was invalidated: it has to be computed anew, and so has what was made from it unless the payload comes out the
    /// same.
    Invalid,
}

impl State {
    /// The name, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Doubtful => "doubtful",
            Self::Collected => "collected",
            Self::Invalid => "invalid",
        }
    }

    /// Whether the record has a payload: it is live or doubtful.
    pub fn has_payload(self) -> bool {
        matches!(self, Self::Live | Self::Doubtful)
    }

    /// Whether what was made from the record's payload may be relied on.
    pub(crate) fn is_sound(self) -> bool {
        matches!(self, Self::Live | Self::Collected)
    }

    /// What it becomes where an input is not as it was.
    pub(crate) fn doubted(self) -> Self {
        match self {
            Self::Live | Self::Doubtful => Self::Doubtful,
            // It would not be back when the input is.
            Self::Collected | Self::Invalid => Self::Invalid,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
