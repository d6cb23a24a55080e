use std::fs::File;

use crate::sidecar::Stamp;

/// The published file that elements in memory came from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Where the elements were checked against it, or written with it.
    pub(crate) stamp: Option<Stamp>,
    /// Where they were read from a local file.
    pub(crate) file: Option<FileId>,
    /// What an attempt to replace it wrote, of which it is not known whether it is there.
    pub(crate) attempt: Option<Stamp>,
}

/// Tells a file of this machine from its replacements, which are other files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    /// When it was written last, which tells it from a later file of the same number: seconds and nanoseconds.
    written: (i64, i64),
}

impl FileId {
    /// `None` where the file cannot be looked at.
    pub(crate) fn of(file: &File) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = file.metadata().ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            written: (found.mtime(), found.mtime_nsec()),
        })
    }
}

impl Origin {
    /// A file that was written here.
    pub(crate) fn written(stamp: Stamp) -> Self {
        Self { stamp: Some(stamp), file: None, attempt: None }
    }
}

/// What is published under a key at one moment.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What the sidecar says was published last.
    pub(crate) newest: Option<Stamp>,
    pub(crate) file: Option<FileId>,
}

impl Seen {
    /// Whether it is what the elements came from.
    pub(crate) fn is(&self, origin: &Origin) -> bool {
        match (&origin.file, &self.file) {
            (Some(then), Some(now)) => then == now,
            _ => origin.stamp.is_some() && origin.stamp == self.newest,
        }
    }
}
