//! Whole objects, put so that one's own success is never taken for another's.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::{
    Attribute, Attributes, Error as Remote, GetOptions, GetResult, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, Result, path::Path,
};
use uuid::Uuid;

use super::{error::is_connect, version};
use crate::PutIf;

/// The metadata by which a writer knows its own object again. Azure takes no hyphen in such a name, and some proxies
/// drop headers that hold an underscore.
const NONCE: &str = "lardernonce";
/// A server may refuse a put because of another one that then fails. How often such a put is tried again.
const TRIES: u32 = 6;

/// A random value that one put or upload carries.
#[derive(Clone, Debug)]
pub(super) struct Nonce(String);

impl Nonce {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    fn attributes(&self) -> Attributes {
        Attributes::from_iter([(Attribute::Metadata(NONCE.into()), self.0.clone())])
    }

    pub(super) fn multipart(&self) -> PutMultipartOptions {
        PutMultipartOptions { attributes: self.attributes(), ..PutMultipartOptions::default() }
    }

    /// Whether the object that is there now was written with this nonce.
    pub(super) fn is_on(&self, there: &GetResult) -> bool {
        there
            .attributes
            .get(&Attribute::Metadata(NONCE.into()))
            .is_some_and(|nonce| nonce.as_ref() == self.0)
    }
}

/// The condition as the client takes it.
pub(super) fn mode(when: &PutIf) -> crate::Result<PutMode> {
    Ok(match when {
        PutIf::Always => PutMode::Overwrite,
        PutIf::Absent => PutMode::Create,
        PutIf::Version(version) => PutMode::Update(version::to_update(version)?),
    })
}

pub(super) async fn put(
    store: std::sync::Arc<dyn ObjectStore>,
    path: Path,
    bytes: Bytes,
    mode: PutMode,
) -> Result<()> {
    let nonce = Nonce::new();
    let mut tried = 0;
    loop {
        tried += 1;
        let options = PutOptions {
            mode: mode.clone(),
            attributes: nonce.attributes(),
            ..PutOptions::default()
        };
        let outcome = store.put_opts(&path, bytes.clone().into(), options).await;
        let Err(error) = outcome else { return Ok(()) };
        if !may_have_happened(&error) {
            return Err(error);
        }
        match head(&*store, &path).await {
            Ok(there) if nonce.is_on(&there) => return Ok(()),
            there if is_conflict(&error) && tried < TRIES && still_holds(&mode, &there) => {}
            _ => return Err(error),
        }
        tokio::time::sleep(Duration::from_millis(20 << tried)).await;
    }
}

/// Whether the server may have carried out what it, or the network, reported as failed.
fn may_have_happened(error: &Remote) -> bool {
    is_conflict(error) || (matches!(error, Remote::Generic { .. }) && !is_connect(error))
}

fn is_conflict(error: &Remote) -> bool {
    matches!(error, Remote::AlreadyExists { .. } | Remote::Precondition { .. })
}

/// Whether the condition holds of what is there, although the server said that it did not.
fn still_holds(mode: &PutMode, there: &Result<GetResult>) -> bool {
    match (mode, there) {
        (PutMode::Create, Err(Remote::NotFound { .. })) => true,
        (PutMode::Update(version), Ok(there)) => there.meta.e_tag == version.e_tag,
        _ => false,
    }
}

pub(super) async fn head(store: &dyn ObjectStore, path: &Path) -> Result<GetResult> {
    store.get_opts(path, GetOptions { head: true, ..GetOptions::default() }).await
}

pub(super) async fn delete(store: &dyn ObjectStore, path: Path) -> Result<()> {
    let one = futures_util::stream::once(std::future::ready(Ok(path))).boxed();
    store.delete_stream(one).next().await.map_or(Ok(()), |deleted| deleted.map(drop))
}
