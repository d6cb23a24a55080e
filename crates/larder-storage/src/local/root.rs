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
        let mut path = self.0.clone();
        for segment in key.segments() {
            path.push(segment);
            match fs::symlink_metadata(&path).map(|found| found.file_type()) {
                Ok(found) if found.is_symlink() => self.check_link(&path)?,
                Ok(found) if !found.is_file() && !found.is_dir() => {
                    let message = "is a pipe, a socket or a device, and no object";
                    return Err(Error::new(ErrorKind::Invalid, message).at_path(path));
                }
                // Whoever uses the path finds out what is wrong with it.
                _ => {}
            }
        }
        Ok(path)
    }

    fn check_link(&self, link: &Path) -> Result<()> {
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
        FileLock::exclusive(
            &self.0.join(RESERVED_SEGMENT).join("locks").join(format!("{stripe:02x}")),
        )
    }

    pub(super) fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        let path = self.path(key)?;
        let failed = |error| Error::io(error, "cannot read the object").at_path(&path);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes.into())),
            Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::IsADirectory => {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Holds under the lock of the key.
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
        let path = self.path(key)?;
        let _lock = self.lock(key)?;
        self.check_condition(key, &path, when)?;
        // A kill may have left directories without any object in them.
        remove_hollow(&path);
        staged.publish(&path).map_err(|error| self.explain(key, &path, error))
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
