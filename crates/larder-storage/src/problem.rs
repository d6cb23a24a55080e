use std::fmt;

use serde::Serialize;

/// One thing that a store's `verify` found wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Where: a key, an id or a path.
    pub place: String,
    /// What is wrong and what helps, in one line.
    pub what: String,
}

impl Problem {
    /// Something wrong at a place.
    pub fn new(place: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self { place: place.to_string(), what: what.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}
