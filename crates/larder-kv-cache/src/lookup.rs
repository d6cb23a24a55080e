/// What a lookup found.
///
/// A stored null is a hit: `Lookup::Hit(None)` of an `Option`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a lookup that nobody reads was not needed"]
#[non_exhaustive]
pub enum Lookup<T> {
    /// The key is there, with this value.
    Hit(T),
    /// The key is not there.
    Miss,
}

impl<T> Lookup<T> {
    /// The value, if there is one.
    pub fn hit(self) -> Option<T> {
        match self {
            Self::Hit(value) => Some(value),
            Self::Miss => None,
        }
    }
}
