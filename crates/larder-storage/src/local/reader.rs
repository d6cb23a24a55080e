use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use crate::{
    Error, ErrorKind, Result,
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
    links: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileReader {
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        let failed = |error| Error::io(error, "cannot open the object").at_path(path);
        let file = match File::open(path) {
            Err(error) if is_absent(&error) => return Ok(None),
            file => file.map_err(failed)?,
        };
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Ok(None);
        }
        let inode = Inode::of(&file).map_err(failed)?;
        Ok(Some(Self { file: PublishedFile(file), len: found.len(), path: path.to_owned(), inode }))
    }
}

impl Inode {
    /// By `fstat`, which is half the price of what the standard library asks.
    fn of(file: &File) -> io::Result<Self> {
        let found = rustix::fs::fstat(file)?;
        Ok(Self {
            links: found.st_nlink as u64,
            changed: (found.st_ctime as i64, found.st_ctime_nsec as i64),
        })
    }
}

impl ReadAt for FileReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.len, offset, buf.len()).map_err(|error| error.at_path(&self.path))?;
        read_exact_at(self.file.file(), buf, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::new(ErrorKind::Corrupt, "was cut short while open")
                    .at_path(&self.path)
                    .with_source(error)
            }
            _ => Error::io(error, "cannot read the object").at_path(&self.path),
        })
    }

    fn is_current(&self) -> bool {
        Inode::of(self.file.file()).is_ok_and(|now| now.links > 0 && now == self.inode)
    }

    fn file(&self) -> Option<&PublishedFile> {
        Some(&self.file)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buf = &mut buf[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}
