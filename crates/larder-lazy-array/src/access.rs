use std::fs::File;

/// How an array will be read, for [`LazyArray::advise`](crate::LazyArray::advise).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// As the kernel sees fit.
    #[default]
    Normal,
    /// Here and there: nothing is read ahead, so a cold row costs its own pages and no others.
    Random,
    /// From front to back: more is read ahead.
    Sequential,
    /// From front to back and never again: what rows and chunks of an array in C order have read is dropped from the page
    /// cache.
    Once,
}

impl Access {
    /// Tells the kernel how positioned reads of `file` will be. It is a hint: where it is not taken, nothing is lost.
    #[cfg(target_os = "linux")]
    pub(crate) fn announce(self, file: &File) {
        use rustix::fs::{Advice, fadvise};
        let advice = match self {
            Self::Normal => Advice::Normal,
            Self::Random => Advice::Random,
            Self::Sequential | Self::Once => Advice::Sequential,
        };
        let _ = fadvise(file, 0, None, advice);
    }

    /// Tells the kernel that these bytes of `file` were read.
    #[cfg(target_os = "linux")]
    pub(crate) fn leave(self, file: &File, start: u64, len: u64) {
        use rustix::fs::{Advice, fadvise};
        if let (Self::Once, Some(len)) = (self, std::num::NonZeroU64::new(len)) {
            let _ = fadvise(file, start, Some(len), Advice::DontNeed);
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn announce(self, _: &File) {}

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn leave(self, _: &File, _: u64, _: u64) {}
}
