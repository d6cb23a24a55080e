use std::{
    io::{self, Write},
    mem,
    sync::Arc,
};

use object_store::{Error as Remote, MultipartUpload, ObjectStore, path::Path};

use super::{
    error::{failed, not_put},
    put::{self, Nonce},
    runtime::{self, Pending},
};
use crate::{Error, ErrorKind, Key, PutIf, Result, storage::Upload};

/// The length of all parts but the last, in bytes.
const PART: usize = 8 << 20;

/// An object sent part by part. One part is filled while the one before is on its way.
#[derive(Debug)]
pub(super) struct Parts {
    store: Arc<dyn ObjectStore>,
    path: Path,
    key: Key,
    nonce: Nonce,
    buffer: Vec<u8>,
    /// None before the first full part: what is smaller is put whole.
    sent: Option<Box<dyn MultipartUpload>>,
    on_its_way: Option<Pending<object_store::Result<()>>>,
    broken: bool,
}

impl Parts {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path, key: &Key) -> Self {
        Self {
            store,
            path,
            key: key.clone(),
            nonce: Nonce::new(),
            buffer: Vec::new(),
            sent: None,
            on_its_way: None,
            broken: false,
        }
    }

    fn failed(&self, error: Remote) -> Error {
        failed(error, "cannot upload").at_key(&self.key)
    }

    /// Waits until no part is on its way.
    fn settle(&mut self) -> Result<()> {
        match self.on_its_way.take() {
            Some(pending) => pending.wait()?.map_err(|error| self.failed(error)),
            None => Ok(()),
        }
    }

    fn begin(&self) -> Result<Box<dyn MultipartUpload>> {
        let (store, path, options) =
            (self.store.clone(), self.path.clone(), self.nonce.multipart());
        let begun = runtime::wait(async move { store.put_multipart_opts(&path, options).await })?;
        begun.map_err(|error| self.failed(error))
    }

    fn send(&mut self) -> Result<()> {
        self.settle()?;
        let mut upload = match self.sent.take() {
            Some(upload) => upload,
            None => self.begin()?,
        };
        let part = upload.put_part(mem::take(&mut self.buffer).into());
        self.sent = Some(upload);
        self.on_its_way = Some(runtime::start(part)?);
        Ok(())
    }

    /// Makes the parts sent into the object.
    fn complete(&mut self) -> Result<()> {
        if !self.buffer.is_empty() {
            self.send()?;
        }
        self.settle()?;
        let Some(mut upload) = self.sent.take() else { return Ok(()) };
        let (store, path, nonce) = (self.store.clone(), self.path.clone(), self.nonce.clone());
        let (upload, outcome) = runtime::start(async move {
            let outcome = match upload.complete().await {
                Ok(_) => Ok(()),
                // The answer to a success may have been lost.
                Err(error) => match put::head(&*store, &path).await {
                    Ok(there) if nonce.is_on(&there) => Ok(()),
                    _ => Err(error),
                },
            };
            (upload, outcome)
        })?
        .wait()?;
        if outcome.is_err() {
            self.sent = Some(upload);
        }
        outcome.map_err(|error| self.failed(error))
    }
}

impl Write for Parts {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.broken {
            return Err(io::Error::other("a part of this upload was not sent: start it again"));
        }
        let taken = buf.len().min(PART - self.buffer.len());
        self.buffer.extend_from_slice(&buf[..taken]);
        if self.buffer.len() == PART {
            let sent = self.send();
            self.broken = sent.is_err();
            sent.map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    /// Does nothing: a part is sent when it is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Parts {
    fn commit(mut self: Box<Self>, when: PutIf) -> Result<()> {
        if self.broken {
            let why = "a part of this upload was not sent: start it again";
            return Err(Error::new(ErrorKind::Backend, why).at_key(&self.key));
        }
        if self.sent.is_some() {
            return match when {
                PutIf::Always => self.complete(),
                PutIf::Absent | PutIf::Version(_) => Err(unconditional().at_key(&self.key)),
            };
        }
        let bytes = mem::take(&mut self.buffer).into();
        let (store, path) = (self.store.clone(), self.path.clone());
        let mode = put::mode(&when).map_err(|error| error.at_key(&self.key))?;
        let outcome = runtime::wait(put::put(store, path, bytes, mode))?;
        outcome.map_err(|error| not_put(error, &when).at_key(&self.key))
    }
}

/// The library completes parts whatever is there, and to look first would be a race.
fn unconditional() -> Error {
    let why = format!(
        "an upload of {} MiB or more takes no condition here: put it whole, or without one",
        PART >> 20
    );
    Error::new(ErrorKind::Unsupported, why)
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(mut upload) = self.sent.take() else { return };
        // A part that arrives after the abort would stay; what fails here, the bucket's expiry removes.
        let _ = self.settle();
        if let Ok(pending) = runtime::start(async move { upload.abort().await }) {
            let _ = pending.wait();
        }
    }
}
