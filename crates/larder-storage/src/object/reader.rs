use std::sync::Arc;

use object_store::{Error as Remote, GetOptions, GetRange, ObjectStore, path::Path};

use super::{
    error::{failed, found},
    put, runtime,
};
use crate::{
    Error, ErrorKind, Result,
    storage::{ReadAt, check_range},
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
        let (asked, at) = (store.clone(), path.clone());
        let outcome = runtime::wait(async move { Ok(put::head(&*asked, &at).await?.meta) })?;
        let meta = found(outcome).map_err(|error| failed(error, "cannot open"))?;
        let Some(meta) = meta else { return Ok(None) };
        let Some(tag) = meta.e_tag else {
            let why = "cannot be opened: the server names no version (ETag) of it; get it whole";
            return Err(Error::new(ErrorKind::Unsupported, why));
        };
        Ok(Some(Self { store, path, len: meta.size, tag }))
    }

    fn replaced(&self) -> Error {
        let why =
            format!("{}: was replaced or removed since it was opened: open it again", self.path);
        Error::new(ErrorKind::Conflict, why)
    }
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
            Err(error) => Err(failed(error, &format!("{}: cannot read", self.path))),
        }
    }
}
