use std::fs::File;

use crate::sidecar::Stamp;

/// The published file that elements in memory came from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// One of which the checksum is known.
    Stamp(Stamp),
    /// One that was mapped, and whose sidecar leaves open which of several it is.
    File(FileId),
}

/// Tells a file of this machine from its replacements, which are other files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    /// When the inode changed last, which tells it from a later file of the same number: seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileId {
    /// `None` where the file cannot be looked at.
    pub(crate) fn of(file: &File) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let found = file.metadata().ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            changed: (found.ctime(), found.ctime_nsec()),
        })
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
        match origin {
            Origin::Stamp(stamp) => self.newest.as_ref() == Some(stamp),
            Origin::File(file) => self.file.as_ref() == Some(file),
        }
    }
}
