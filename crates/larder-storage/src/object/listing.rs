use std::{collections::VecDeque, sync::Arc};

use futures_util::{StreamExt, stream::BoxStream};
use object_store::{ObjectMeta, ObjectStore, Result as RemoteResult, path::Path};

use super::{
    error::{failed, found, not_listed},
    put, runtime,
};
use crate::{Entry, Key, Result};

/// How many entries are fetched at a time: a page of S3.
const PAGE: usize = 1000;

type Stream = BoxStream<'static, RemoteResult<ObjectMeta>>;

/// A lazy listing: one page in memory, and none is asked for before it is needed.
pub(super) struct Listing {
    page: VecDeque<Entry>,
    rest: Option<Stream>,
    /// What keys are told without, `/` included.
    root: String,
    /// The object that is the prefix itself; the servers list only what lies below.
    single: Option<Path>,
}

impl Listing {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        root: &Path,
        start: Option<Path>,
    ) -> Result<Self> {
        let below = start.as_ref().unwrap_or(root);
        let below = Some(below).filter(|path| !path.as_ref().is_empty());
        let mut listing = Self {
            page: VecDeque::new(),
            rest: Some(store.list(below)),
            root: if root.as_ref().is_empty() { String::new() } else { format!("{root}/") },
            single: start,
        };
        listing.find_single(store)?;
        Ok(listing)
    }

    fn find_single(&mut self, store: Arc<dyn ObjectStore>) -> Result<()> {
        let Some(at) = self.single.clone() else { return Ok(()) };
        let there = runtime::wait(async move { Ok(put::head(&*store, &at).await?.meta) })?;
        let there = found(there).map_err(|error| failed(error, "cannot list"))?;
        self.page.extend(there.and_then(|meta| self.entry(meta)));
        Ok(())
    }

    /// None for what is no object of Larder's: its name is no key, or reserved. A name that is not even a path never
    /// comes here: the client ends the listing with an error.
    fn entry(&self, meta: ObjectMeta) -> Option<Entry> {
        let key = Key::new(meta.location.as_ref().strip_prefix(&self.root)?).ok()?;
        Some(Entry { key, len: meta.size, modified: meta.last_modified.into() })
    }

    fn fetch(&mut self, mut stream: Stream) -> Result<()> {
        let (stream, page) = runtime::start(async move {
            let mut page = Vec::new();
            while page.len() < PAGE {
                let Some(next) = stream.next().await else { return (None, Ok(page)) };
                match next {
                    Ok(meta) => page.push(meta),
                    Err(error) => return (None, Err(error)),
                }
            }
            (Some(stream), Ok(page))
        })?
        .wait()?;
        let page: Vec<ObjectMeta> = page.map_err(not_listed)?;
        let listed = page.into_iter().filter(|meta| self.single.as_ref() != Some(&meta.location));
        let entries: Vec<_> = listed.filter_map(|meta| self.entry(meta)).collect();
        self.page.extend(entries);
        self.rest = stream;
        Ok(())
    }
}

impl Iterator for Listing {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.pop_front() {
                return Some(Ok(entry));
            }
            // A page may hold nothing but what is hidden.
            let stream = self.rest.take()?;
            if let Err(error) = self.fetch(stream) {
                return Some(Err(error));
            }
        }
    }
}
