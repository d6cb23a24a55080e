use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::{
    Durability, Error, ErrorKind, Key, Result,
    publish::{Stage, StagedFile, create_dirs},
    storage::{Entries, Keys, Object, PutIf, ReadAt, Storage, Upload, read_range},
};

mod reader;
mod root;
mod walk;

use root::Root;

/// Objects as plain files under a local directory, named by their keys.
///
/// Each object is published by one rename out of a stage area on the same file system. Every `put`, `commit` and
/// `remove` changes names under the lock of its key's stripe, a file under `.larder/locks/`, so conditions hold across
/// processes; not across two storages of which one lies inside the other.
/// Files whose names are no keys are no objects. Symbolic links are followed while they stay inside the root; one that
/// leads out of it is `Invalid`.
#[derive(Debug)]
pub struct LocalStorage {
    root: Root,
    stage: Stage,
}

impl LocalStorage {
    /// Opens the directory `root`, makes it where it is missing, and removes what killed writers left half done.
    ///
    /// A directory that may only be read can be opened and read.
    ///
    /// # Errors
    ///
    /// `Invalid` where `root` is a file; `Io` where it cannot be made or looked into.
    pub fn open(root: impl AsRef<Path>, durability: Durability) -> Result<Self> {
        let root = root.as_ref();
        if fs::metadata(root).is_ok_and(|found| !found.is_dir()) {
            return Err(Error::new(ErrorKind::Invalid, "is a file: name a directory").at_path(root));
        }
        let failed = |error| Error::io(error, "cannot open the directory").at_path(root);
        create_dirs(root, durability)?;
        let root = fs::canonicalize(root).map_err(failed)?;
        // What cannot be removed, as in a root that may only be read, is in nobody's way.
        let _ = Stage::sweep(&root);
        Ok(Self { stage: Stage::new(&root, durability), root: Root(root) })
    }

    /// The directory, with symbolic links resolved.
    pub fn root(&self) -> &Path {
        &self.root.0
    }

    /// The stage from which files and directories of one's own are published under this root.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The file of `key`, whether or not it exists. Never outside the root.
    ///
    /// # Errors
    ///
    /// `Invalid` where a symbolic link on the way leads out of the root.
    pub fn path(&self, key: &Key) -> Result<PathBuf> {
        self.root.path(key)
    }
}

impl Storage for LocalStorage {
    fn get(&self, key: &Key) -> Result<Option<Object>> {
        Ok(self.root.read(key)?.map(Object::new))
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>> {
        let reader = reader::FileReader::open(&self.root, key)?;
        reader.map(|reader| read_range(&reader, key, offset, len)).transpose()
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>> {
        Ok(reader::FileReader::open(&self.root, key)?.map(|reader| Box::new(reader) as _))
    }

    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()> {
        let mut staged = self.stage.file()?;
        let written = staged.write_all(&bytes);
        written.map_err(|error| Error::io(error, "cannot write the object").at_key(key))?;
        self.root.publish(key, staged, &when)
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        Ok(Box::new(LocalUpload {
            staged: self.stage.file()?,
            key: key.clone(),
            root: self.root.clone(),
        }))
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        let (path, lock) = self.root.lock(key)?;
        let existed = self.root.remove(&path)?;
        drop(lock);
        // Also where there was nothing: whoever removed it may not have flushed that.
        self.stage.settle(&path)?;
        Ok(existed)
    }

    fn keys(&self, prefix: Option<&Key>) -> Result<Keys<'_>> {
        let objects = walk::Walk::new(&self.root, prefix)?;
        Ok(Box::new(objects.map(|found| found.map(|found| found.key))))
    }

    fn list(&self, prefix: Option<&Key>) -> Result<Entries<'_>> {
        let objects = walk::Walk::new(&self.root, prefix)?;
        Ok(Box::new(objects.filter_map(|found| found.and_then(walk::Found::entry).transpose())))
    }

    fn local_root(&self) -> Option<&Path> {
        Some(&self.root.0)
    }
}

#[derive(Debug)]
struct LocalUpload {
    staged: StagedFile,
    key: Key,
    root: Root,
}

impl Write for LocalUpload {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.staged.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.flush()
    }
}

impl Upload for LocalUpload {
    fn commit(self: Box<Self>, when: PutIf) -> Result<()> {
        self.root.publish(&self.key, self.staged, &when)
    }
}

#[cfg(test)]
mod tests;
