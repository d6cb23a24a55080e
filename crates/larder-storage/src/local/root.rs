use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::{
    Digest, Error, ErrorKind, Key, RESERVED_SEGMENT, Result,
    lock::FileLock,
    publish::{OBJECTS_BELOW, StagedFile, is_absent},
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

    /// The path of `key`, and whether there is a link on the way.
    fn locate(&self, key: &Key) -> Result<(PathBuf, bool)> {
        let mut path = PathBuf::with_capacity(self.0.as_os_str().len() + 1 + key.as_str().len());
        path.push(&self.0);
        let mut is_linked = false;
        for segment in key.segments() {
            path.push(segment);
            let found = fs::symlink_metadata(&path).map(|found| found.file_type());
            match found {
                Ok(found) if found.is_symlink() => {
                    self.check_link(&path)?;
                    is_linked = true;
                }
                Ok(found) if !found.is_file() && !found.is_dir() => return Err(odd_file(&path)),
                // Whoever uses the path finds out what is wrong with it.
                _ => {}
            }
        }
        Ok((path, is_linked))
    }

    pub(super) fn check_link(&self, link: &Path) -> Result<()> {
        match fs::canonicalize(link) {
            Ok(target) if target.starts_with(&self.0) && !self.is_reserved(&target) => {
                let is_odd = |found: fs::Metadata| !found.is_file() && !found.is_dir();
                if fs::metadata(&target).is_ok_and(is_odd) { Err(odd_file(link)) } else { Ok(()) }
            }
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

    /// The path of `key`, and the lock under which its name may change. Two keys that lead to one file, through a link
    /// to a directory, have one lock.
    pub(super) fn lock(&self, key: &Key) -> Result<(PathBuf, FileLock)> {
        let (path, is_linked) = self.locate(key)?;
        let place = if is_linked {
            Digest::of(&self.real_place(&path))
        } else {
            Digest::of(key.as_str().as_bytes())
        };
        let stripe = place.as_bytes()[0];
        let lock = self.0.join(format!("{RESERVED_SEGMENT}/locks/{stripe:02x}"));
        Ok((path, FileLock::exclusive(&lock)?))
    }

    /// Where a path that leads through a link lies below the root, in the form of a key.
    fn real_place(&self, path: &Path) -> Vec<u8> {
        let (parent, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
        let real = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned()).join(name);
        real.strip_prefix(&self.0).unwrap_or(&real).as_os_str().as_encoded_bytes().to_vec()
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
        let holds = match when {
            PutIf::Always => true,
            PutIf::Absent => !is_file(path)?,
            PutIf::Version(version) => {
                self.read(key)?.is_some_and(|bytes| Version::of(&bytes) == *version)
            }
        };
        if holds { Ok(()) } else { Err(when.lost().at_key(key)) }
    }

    pub(super) fn publish(&self, key: &Key, staged: StagedFile, when: &PutIf) -> Result<()> {
        if staged.syncs() {
            // What is lost already is not worth a flush.
            self.check_condition(key, &self.path(key)?, when)?;
        }
        let sealed = staged.seal();
        let sealed =
            sealed.map_err(|error| Error::io(error, "cannot write the object").at_key(key))?;
        // Nobody waits for the device: flushes come before the lock and after it.
        let (path, lock) = self.lock(key)?;
        self.check_condition(key, &path, when)?;
        make_way(&path).map_err(|error| error.at_key(key))?;
        let published = sealed.rename(&path).map_err(|error| match error.kind() {
            ErrorKind::Invalid => error.at_key(key),
            _ => error,
        })?;
        drop(lock);
        published.settle()
    }

    /// Removes an object, and tells whether there was one.
    pub(super) fn remove(&self, path: &Path) -> Result<bool> {
        // Not a link to a directory, which is no object.
        if !is_file(path)? {
            return Ok(false);
        }
        let removed = fs::remove_file(path);
        removed.map_err(|error| Error::io(error, "cannot remove the object").at_path(path))?;
        self.prune(path);
        Ok(true)
    }

    /// Removes directories that held only what was just removed, so that their names are free again.
    fn prune(&self, path: &Path) {
        for dir in path.ancestors().skip(1).take_while(|above| **above != self.0) {
            if fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

/// Whether there is an object, as far as it can be told.
fn is_file(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.is_file()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(Error::io(error, "cannot look whether it exists").at_path(path)),
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

/// Removes directories without any object in them, as a kill may leave them under this name.
fn make_way(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path).map(|found| found.file_type()) {
        Ok(found) if found.is_dir() => remove_hollow(path),
        // It would be replaced.
        Ok(found) if found.is_symlink() && path.is_dir() => {
            return Err(Error::new(ErrorKind::Invalid, OBJECTS_BELOW));
        }
        _ => {}
    }
    Ok(())
}

/// Removes a directory in which there is nothing but such directories; leaves everything else, also links.
fn remove_hollow(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|found| found.is_dir()) {
            remove_hollow(&entry.path());
        }
    }
    // Fails where an object is left, which is the point.
    let _ = fs::remove_dir(dir);
}

pub(super) fn odd_file(path: &Path) -> Error {
    Error::new(ErrorKind::Invalid, "is a pipe, a socket or a device, and no object").at_path(path)
}
