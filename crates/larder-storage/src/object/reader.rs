use std::sync::Arc;

use bytes::Bytes;
use object_store::{Error as Remote, GetOptions, GetRange, ObjectMeta, ObjectStore, path::Path};

use super::{
    error::{failed, found},
    put, runtime,
};
use crate::{
    Error, ErrorKind, Key, Result,
    storage::{PublishedFile, ReadAt, check_range, read_range},
};

/// Reads parts of one version of an object; each read is one request.
#[derive(Debug)]
pub(super) struct Pinned {
    store: Arc<dyn ObjectStore>,
    path: Path,
    len: u64,
    tag: String,
}

impl Pinned {
    pub(super) fn open(store: Arc<dyn ObjectStore>, path: Path) -> Result<Option<Self>> {
        let there = look(store.clone(), path.clone())?;
        there.map(|meta| Self::new(store, path, meta)).transpose()
    }

    fn new(store: Arc<dyn ObjectStore>, path: Path, meta: ObjectMeta) -> Result<Self> {
        // No condition holds of a weak tag.
        let Some(tag) = meta.e_tag.filter(|tag| !tag.starts_with("W/")) else {
            let why =
                "cannot be opened: the server names no version (strong ETag) of it; get it whole";
            return Err(Error::new(ErrorKind::Unsupported, why));
        };
        Ok(Self { store, path, len: meta.size, tag })
    }

    /// Whether the version is still there, as far as the server tells.
    fn is_there(&self) -> Result<bool> {
        let (store, path) = (self.store.clone(), self.path.clone());
        let there = runtime::wait(async move { put::head(&*store, &path).await })?;
        Ok(match found(there) {
            Ok(there) => there.is_some_and(|there| there.meta.e_tag.as_ref() == Some(&self.tag)),
            Err(_) => true,
        })
    }

    fn replaced(&self) -> Error {
        let why =
            format!("{}: was replaced or removed since it was opened: open it again", self.path);
        Error::new(ErrorKind::Conflict, why)
    }
}

fn look(store: Arc<dyn ObjectStore>, path: Path) -> Result<Option<ObjectMeta>> {
    let there = runtime::wait(async move { Ok(put::head(&*store, &path).await?.meta) })?;
    found(there).map_err(|error| failed(error, "cannot open"))
}

/// `len` bytes from `offset` on of what is there now, in one request where they are there.
pub(super) fn range(
    store: Arc<dyn ObjectStore>,
    path: Path,
    key: &Key,
    offset: u64,
    len: usize,
) -> Result<Option<Bytes>> {
    let end = offset.saturating_add(len as u64);
    // No range of a request is empty, or ends beyond what a number holds.
    if len > 0 && end < u64::MAX {
        let options = GetOptions { range: Some((offset..end).into()), ..GetOptions::default() };
        let (asked, at) = (store.clone(), path.clone());
        let outcome =
            runtime::wait(async move { asked.get_opts(&at, options).await?.bytes().await })?;
        match found(outcome) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) if bytes.len() == len => return Ok(Some(bytes)),
            // Servers differ in how they refuse a range: a look at the length tells.
            Ok(Some(_)) | Err(Remote::Generic { .. }) => {}
            Err(error) => return Err(failed(error, "cannot get")),
        }
    }
    let Some(meta) = look(store.clone(), path.clone())? else { return Ok(None) };
    check_range(meta.size, offset, len)?;
    if len == 0 {
        return Ok(Some(Bytes::new()));
    }
    read_range(&Pinned::new(store, path, meta)?, key, offset, len).map(Some)
}

impl ReadAt for Pinned {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.len, offset, buf.len())?;
        if buf.is_empty() {
            return Ok(());
        }
        let options = GetOptions {
            if_match: Some(self.tag.clone()),
            range: Some(GetRange::Bounded(offset..offset + buf.len() as u64)),
            ..GetOptions::default()
        };
        let (store, path) = (self.store.clone(), self.path.clone());
        let outcome = runtime::wait(async move {
            let found = store.get_opts(&path, options).await?;
            let tag = found.meta.e_tag.clone();
            Ok((found.bytes().await?, tag))
        })?;
        match outcome {
            // A server may pass over the condition, so what it answers is looked at too.
            Ok((bytes, Some(tag))) if tag == self.tag && bytes.len() == buf.len() => {
                buf.copy_from_slice(&bytes);
                Ok(())
            }
            Ok(_) | Err(Remote::Precondition { .. } | Remote::NotFound { .. }) => {
                Err(self.replaced())
            }
            // The client asks for the rest of an answer that was cut, and tells no condition that fails there.
            Err(_) if !self.is_there()? => Err(self.replaced()),
            Err(error) => Err(failed(error, &format!("{}: cannot read", self.path))),
        }
    }

    fn is_current(&self) -> bool {
        // A read says when it is not so.
        true
    }

    fn file(&self) -> Option<&PublishedFile> {
        None
    }
}
