use std::fmt;

/// Which entries go first where a cache is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// Those that nobody has read or set for the longest time.
    LeastRecentlyUsed,
    /// Those that were read least often since they were set, and of these the ones that were used longest ago.
    LeastFrequentlyUsed,
    /// Those that were set longest ago, read or not.
    Oldest,
}

impl Policy {
    const ALL: [Self; 3] = [Self::LeastRecentlyUsed, Self::LeastFrequentlyUsed, Self::Oldest];

    /// As databases have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LeastRecentlyUsed => "least-recently-used",
            Self::LeastFrequentlyUsed => "least-frequently-used",
            Self::Oldest => "oldest",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
