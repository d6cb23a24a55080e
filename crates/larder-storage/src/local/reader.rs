use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, Stat},
    io::Errno,
};

use super::root::{Root, odd_file};
use crate::{
    Error, ErrorKind, Key, Result,
    publish::is_absent,
    storage::{PublishedFile, ReadAt, check_range},
};

/// An open file. Published files are replaced by rename, so it stays on its version.
#[derive(Debug)]
pub(super) struct FileReader {
    file: PublishedFile,
    len: u64,
    path: PathBuf,
    inode: Inode,
}

/// What changes in an inode that loses its name: a replacement or a removal takes a link away, which counts as a change.
#[derive(Debug, PartialEq)]
struct Inode {
    links: i128,
    /// Seconds and nanoseconds, whose types differ among systems as that of the links does.
    changed: (i128, i128),
}

impl FileReader {
    pub(super) fn open(root: &Root, key: &Key) -> Result<Option<Self>> {
        let path = root.0.join(key.as_str());
        match open_plain(&path) {
            Ok(file) => Self::of(file, path),
            Err(Errno::NOENT) => Ok(None),
            // A link, which has to be looked at, or what `File::open` tells as well.
            Err(_) => Self::open_linked(root.path(key)?),
        }
    }

    fn open_linked(path: PathBuf) -> Result<Option<Self>> {
        match File::open(&path) {
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(unopened(error, &path)),
            Ok(file) => Self::of(file, path),
        }
    }

    /// `None` where it is a directory.
    fn of(file: File, path: PathBuf) -> Result<Option<Self>> {
        let found = rustix::fs::fstat(&file).map_err(|error| unopened(error.into(), &path))?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Ok(None),
            _ => return Err(odd_file(&path)),
        }
        let (len, inode) = (found.st_size.cast_unsigned(), Inode::of(&found));
        Ok(Some(Self { file: PublishedFile(file), len, path, inode }))
    }
}

/// Opens a file where no link is on the way to it, of which the kernel makes sure in one call.
#[cfg(target_os = "linux")]
fn open_plain(path: &Path) -> rustix::io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    // Nor waits for who writes to a pipe.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn open_plain(_path: &Path) -> rustix::io::Result<File> {
    Err(Errno::NOSYS)
}

fn unopened(error: io::Error, path: &Path) -> Error {
    Error::io(error, "cannot open the object").at_path(path)
}

impl Inode {
    fn of(found: &Stat) -> Self {
        let changed = (found.st_ctime.into(), found.st_ctime_nsec.into());
        Self { links: found.st_nlink.into(), changed }
    }
}

impl ReadAt for FileReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.len, offset, buf.len()).map_err(|error| error.at_path(&self.path))?;
        self.file.file().read_exact_at(buf, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::new(ErrorKind::Corrupt, "was cut short while open")
                    .at_path(&self.path)
                    .with_source(error)
            }
            _ => Error::io(error, "cannot read the object").at_path(&self.path),
        })
    }

    fn is_current(&self) -> bool {
        rustix::fs::fstat(self.file.file())
            .is_ok_and(|now| now.st_nlink > 0 && Inode::of(&now) == self.inode)
    }

    fn file(&self) -> Option<&PublishedFile> {
        Some(&self.file)
    }
}
