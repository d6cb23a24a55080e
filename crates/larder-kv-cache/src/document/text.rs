use std::{
    borrow::Borrow,
    fmt,
    hash::{Hash, Hasher},
    ops::{Deref, Range},
    sync::Arc,
};

/// A part of a text that all its parts share, so that none of them needs memory of its own.
#[derive(Clone)]
pub(super) struct Text {
    whole: Arc<str>,
    range: Range<usize>,
}

impl Text {
    pub(super) fn part(whole: &Arc<str>, range: Range<usize>) -> Self {
        Self { whole: Arc::clone(whole), range }
    }

    /// A part of this part.
    pub(super) fn within(&self, range: Range<usize>) -> Self {
        let start = self.range.start;
        Self::part(&self.whole, start + range.start..start + range.end)
    }
}

impl<T: Into<Arc<str>>> From<T> for Text {
    fn from(text: T) -> Self {
        let whole = text.into();
        Self { range: 0..whole.len(), whole }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.whole[self.range.clone()]
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

/// As `str`, which a map is asked with.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
