use std::{path::PathBuf, sync::Arc};

use larder::{
    kv_cache::{KvCache, Options},
    layout,
    storage::{Durability, Error, ErrorKind, Key, LocalStorage, Result, Storage},
};

use crate::commands::{look, make_root};

/// Where a lookup cache is, or is to be.
#[derive(Debug)]
pub(super) struct Place {
    home: Home,
    pub(super) namespace: String,
}

#[derive(Debug)]
enum Home {
    /// A database under this root.
    Root(PathBuf),
    /// A document in this directory.
    Dir(PathBuf),
    /// A document on the store at this address.
    Store(String, Arc<dyn Storage>),
}

impl Place {
    /// `root` is asked for only where there is no directory of documents.
    pub(super) fn new(
        root: &dyn Fn() -> Result<PathBuf>,
        namespace: String,
        document: Option<PathBuf>,
    ) -> Result<Self> {
        let home = match document {
            Some(dir) => match dir.to_str().filter(|text| text.contains("://")) {
                Some(url) => Home::Store(url.to_owned(), store(url)?),
                None => Home::Dir(dir),
            },
            None => Home::Root(root()?),
        };
        Ok(Self { home, namespace })
    }

    /// The directory of the databases, or of the document.
    pub(super) fn dir(&self) -> PathBuf {
        match &self.home {
            Home::Root(root) => root.join(layout::KV),
            Home::Dir(dir) => dir.clone(),
            Home::Store(url, _) => url.into(),
        }
    }

    pub(super) fn is_document(&self) -> bool {
        !matches!(self.home, Home::Root(_))
    }

    /// The cache that is there. A name that was mistyped makes no empty one.
    ///
    /// # Errors
    /// `NotFound` where there is none; else those of opening it.
    pub(super) fn existing(&self) -> Result<KvCache> {
        self.check()?;
        self.open_with(Options::default())
    }

    /// As [`existing`](Self::existing), for writes that are all saved at once.
    pub(super) fn existing_unsaved(&self) -> Result<KvCache> {
        self.check()?;
        self.open_with(Options::default().autosave(false))
    }

    /// The cache, which is made where it is missing, and the root too.
    ///
    /// # Errors
    /// Those of opening it.
    pub(super) fn open(&self) -> Result<KvCache> {
        if let Home::Root(root) = &self.home {
            make_root(root)?;
        }
        self.open_with(Options::default())
    }

    /// Refuses a cache that is not there.
    ///
    /// # Errors
    /// `NotFound` where it is not.
    pub(super) fn check(&self) -> Result<()> {
        if self.exists()? {
            return Ok(());
        }
        let (what, list) = match self.home {
            Home::Root(_) => ("namespace", "`larder kv status` lists those that there are"),
            _ => ("document of namespace", "name another place or namespace"),
        };
        let message = format!("there is no {what} {:?} here: {list}", self.namespace);
        Err(Error::new(ErrorKind::NotFound, message).at_path(self.dir()))
    }

    /// Whether there is such a cache.
    ///
    /// # Errors
    /// `NotFound` where there is no root either; `Io` where it cannot be looked at.
    pub(super) fn exists(&self) -> Result<bool> {
        match &self.home {
            Home::Root(root) => {
                look::check_root(root)?;
                Ok(KvCache::namespaces(self.dir())?.contains(&self.namespace))
            }
            Home::Dir(_) => Ok(self.document()?.is_file()),
            Home::Store(_, storage) => Ok(storage.open(&name(&self.namespace)?)?.is_some()),
        }
    }

    /// Moves what is damaged aside, and says where to.
    ///
    /// # Errors
    /// Those of the cache.
    pub(super) fn repair(&self) -> Result<Option<PathBuf>> {
        let Home::Root(_) = self.home else {
            let moved = KvCache::repair_document(&*self.storage()?, &self.namespace)?;
            return Ok(moved.map(|key| self.dir().join(key.as_str())));
        };
        KvCache::repair(self.dir(), &self.namespace)
    }

    fn open_with(&self, options: Options) -> Result<KvCache> {
        match &self.home {
            Home::Root(_) => KvCache::open(self.dir(), &self.namespace, options),
            _ => {
                let document = self.document()?;
                KvCache::open_document(self.storage()?, &self.namespace, options)
                    .map_err(|error| error.at_path(document))
            }
        }
    }

    /// What holds the document.
    fn storage(&self) -> Result<Arc<dyn Storage>> {
        match &self.home {
            Home::Store(_, storage) => Ok(Arc::clone(storage)),
            _ => Ok(Arc::new(LocalStorage::open(self.dir(), Durability::Process)?)),
        }
    }

    fn document(&self) -> Result<PathBuf> {
        Ok(self.dir().join(name(&self.namespace)?.as_str()))
    }
}

/// The name of the document of a namespace.
fn name(namespace: &str) -> Result<Key> {
    Key::encode(namespace)?.with_suffix(".json")
}

#[cfg(feature = "object-store")]
fn store(url: &str) -> Result<Arc<dyn Storage>> {
    if url.starts_with("memory:") {
        let message = "what is kept in memory ends with this command: name another place";
        return Err(Error::new(ErrorKind::Invalid, message).at_path(url));
    }
    larder::storage::open(url).map_err(|error| error.at_path(url))
}

#[cfg(not(feature = "object-store"))]
fn store(url: &str) -> Result<Arc<dyn Storage>> {
    let message =
        "this command was built without object stores: build it with the feature `object-store`";
    Err(Error::new(ErrorKind::Unsupported, message).at_path(url))
}
