use std::fmt;

/// Whether a record's payload is there and can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is there.
    #[default]
    Live,
    /// Something that it was made from was invalidated.
    Doubtful,
    /// It was given up to free space.
    Collected,
    /// It was invalidated: it has to be computed anew.
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
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
