use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::{
    Digest, Error, ErrorKind, Key, RESERVED_SEGMENT, Result,
    lock::FileLock,
    publish::{StagedFile, is_absent},
    storage::{PutIf, Version},
};

/// The canonical directory that the objects lie in, and what has to hold for a change below it.
#[derive(Clone, Debug)]
pub(super) struct Root(pub(super) PathBuf);

impl Root {
    /// The file of `key`, whether or not it exists. Never outside the root.
    pub(super) fn path(&self, key: &Key) -> Result<PathBuf> {
        self.locate(key).map(|(path, _)| path)
    }

    /// The path of `key`, and whether there is a directory now.
    fn locate(&self, key: &Key) -> Result<(PathBuf, bool)> {
        let mut path = PathBuf::with_capacity(self.0.as_os_str().len() + 1 + key.as_str().len());
        path.push(&self.0);
        let mut is_dir = true;
        for segment in key.segments() {
            path.push(segment);
            let found = fs::symlink_metadata(&path).map(|found| found.file_type());
            is_dir = found.as_ref().is_ok_and(fs::FileType::is_dir);
            match found {
                Ok(found) if found.is_symlink() => self.check_link(&path)?,
                Ok(found) if !found.is_file() && !found.is_dir() => {
                    let message = "is a pipe, a socket or a device, and no object";
                    return Err(Error::new(ErrorKind::Invalid, message).at_path(path));
                }
                // Whoever uses the path finds out what is wrong with it.
                _ => {}
            }
        }
        Ok((path, is_dir))
    }

    pub(super) fn check_link(&self, link: &Path) -> Result<()> {
        match fs::canonicalize(link) {
            Ok(target) if target.starts_with(&self.0) && !self.is_reserved(&target) => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Invalid,
                "is a symbolic link that leads out of the root or to what is no object",
            )
            .at_path(link)),
        }
    }

    /// Whether the path leads to what is no object, such as a lock or a database.
    fn is_reserved(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.0).unwrap_or(path);
        below.iter().any(|segment| segment.eq_ignore_ascii_case(RESERVED_SEGMENT))
    }

    pub(super) fn lock(&self, key: &Key) -> Result<FileLock> {
        let stripe = Digest::of(key.as_str().as_bytes()).as_bytes()[0];
        FileLock::exclusive(&self.0.join(format!("{RESERVED_SEGMENT}/locks/{stripe:02x}")))
    }

    pub(super) fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        let path = self.path(key)?;
        match read_file(&path) {
            Ok(bytes) => Ok(bytes.map(Bytes::from)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Error::io(error, "cannot read the object").at_path(path)),
        }
    }

    /// Holds only as long as the lock of the key is held.
    fn check_condition(&self, key: &Key, path: &Path, when: &PutIf) -> Result<()> {
        let lost = match when {
            PutIf::Always => return Ok(()),
            PutIf::Absent if !path.is_file() => return Ok(()),
            PutIf::Absent => "exists already",
            PutIf::Version(version)
                if self.read(key)?.is_some_and(|bytes| Version::of(&bytes) == *version) =>
            {
                return Ok(());
            }
            PutIf::Version(_) => "was changed or removed meanwhile: read it again",
        };
        Err(Error::new(ErrorKind::Conflict, lost).at_key(key))
    }

    pub(super) fn publish(&self, key: &Key, staged: StagedFile, when: &PutIf) -> Result<()> {
        let (path, is_dir) = self.locate(key)?;
        // What is lost already is not flushed, and nobody waits for a lock while the device is slow.
        self.check_condition(key, &path, when)?;
        let sealed = staged.seal();
        let sealed =
            sealed.map_err(|error| Error::io(error, "cannot write the object").at_key(key))?;
        let _lock = self.lock(key)?;
        self.check_condition(key, &path, when)?;
        // A kill may have left directories without any object in them.
        if is_dir {
            remove_hollow(&path);
        }
        sealed.publish(&path).map_err(|error| self.explain(key, &path, error))
    }

    /// Tells a key inside or above an object from a failing disk.
    fn explain(&self, key: &Key, path: &Path, error: Error) -> Error {
        let inside =
            path.ancestors().skip(1).take_while(|above| **above != self.0).any(Path::is_file);
        let message = if inside {
            "cannot lie inside an object: remove that one first"
        } else if path.is_dir() {
            "objects lie below this key: it cannot be one"
        } else {
            return error;
        };
        Error::new(ErrorKind::Invalid, message).at_key(key).with_source(error)
    }

    /// Removes directories that held only what was just removed, so that their names are free again.
    pub(super) fn prune(&self, path: &Path) {
        for dir in path.ancestors().skip(1).take_while(|above| **above != self.0) {
            if fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

/// The content of a file; `None` where there is none but a directory.
fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(None);
    }
    // A published file never grows, so its length is all there is to read.
    let len = usize::try_from(found.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len)?;
    bytes.resize(len, 0);
    file.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// Removes a directory in which there is nothing but such directories; leaves everything else.
fn remove_hollow(dir: &Path) {
    // Not through links, and not at all in the usual case of a file or nothing.
    if !fs::symlink_metadata(dir).is_ok_and(|found| found.is_dir()) {
        return;
    }
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        remove_hollow(&entry.path());
    }
    // Fails where an object is left, which is the point.
    let _ = fs::remove_dir(dir);
}
