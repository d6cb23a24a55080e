use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use larder::{
    Larder, dir_cache,
    kv_cache::{KvCache, Options},
    layout,
    storage::{Durability, Error, ErrorKind, Key, LocalStorage, Result},
};

use crate::commands::look;

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
}

impl Place {
    /// `root` is asked for only where there is no directory of documents.
    pub(super) fn new(
        root: &dyn Fn() -> Result<PathBuf>,
        namespace: String,
        document: Option<PathBuf>,
    ) -> Result<Self> {
        let home = match document {
            Some(dir) if dir.to_string_lossy().contains("://") => {
                let message = "documents are opened in local directories only: name one";
                return Err(Error::new(ErrorKind::Unsupported, message).at_path(dir));
            }
            Some(dir) => Home::Dir(dir),
            None => Home::Root(root()?),
        };
        Ok(Self { home, namespace })
    }

    /// The directory of the databases, or of the document.
    pub(super) fn dir(&self) -> PathBuf {
        match &self.home {
            Home::Root(root) => root.join(layout::KV),
            Home::Dir(dir) => dir.clone(),
        }
    }

    pub(super) fn is_document(&self) -> bool {
        matches!(self.home, Home::Dir(_))
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
        if let Home::Root(root) = &self.home
            && !Larder::is_root(root)?
        {
            let dirs = dir_cache::Options::default().background(false);
            drop(Larder::open_with(root, larder::Options::default().dirs(dirs))?);
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
            Home::Dir(_) => ("document of namespace", "name another directory or namespace"),
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
            Home::Dir(dir) => Ok(self.document(dir)?.is_file()),
        }
    }

    fn open_with(&self, options: Options) -> Result<KvCache> {
        match &self.home {
            Home::Root(_) => KvCache::open(self.dir(), &self.namespace, options),
            Home::Dir(dir) => {
                let storage = LocalStorage::open(dir, Durability::Process)?;
                let document = self.document(dir)?;
                KvCache::open_document(Arc::new(storage), &self.namespace, options)
                    .map_err(|error| error.at_path(document))
            }
        }
    }

    fn document(&self, dir: &Path) -> Result<PathBuf> {
        let name = Key::encode(&self.namespace)?.with_suffix(".json")?;
        Ok(dir.join(name.as_str()))
    }
}
