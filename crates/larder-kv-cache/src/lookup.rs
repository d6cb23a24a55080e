/// What a lookup found.
///
/// A stored null is a hit: `Lookup::Hit(None)` of an `Option`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a lookup that nobody reads was not needed"]
pub enum Lookup<T> {
    /// The key is there, with this value.
    Hit(T),
    /// The key was there, and its time is over. Later writes make a miss of it.
    Expired,
    /// The key is not there.
    Miss,
}

impl<T> Lookup<T> {
    /// The value, if there is one.
    pub fn hit(self) -> Option<T> {
        match self {
            Self::Hit(value) => Some(value),
            Self::Expired | Self::Miss => None,
        }
    }

    /// Whether there is a value.
    pub fn is_hit(&self) -> bool {
        matches!(self, Self::Hit(_))
    }

    /// The same for what `convert` makes of a value.
    pub(crate) fn try_map<U, E>(
        self,
        convert: impl FnOnce(T) -> Result<U, E>,
    ) -> Result<Lookup<U>, E> {
        Ok(match self {
            Self::Hit(value) => Lookup::Hit(convert(value)?),
            Self::Expired => Lookup::Expired,
            Self::Miss => Lookup::Miss,
        })
    }
}
