//! Plain `.npy` files in and out.

use std::{fs::File, io::Write, os::unix::fs::FileExt, path};

use larder_storage::{Error, ErrorKind, PublishedFile, ReadAt, publish::StagedFile};

use super::*;
use crate::ElementWork;

/// A file of the user's own, at the length that it had when it was opened.
#[derive(Debug)]
struct Npy {
    file: File,
    len: u64,
}

impl Npy {
    fn open(path: &Path) -> Result<Self> {
        let open = || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok(Self { file, len })
        };
        open().map_err(|error| Error::io(error, "cannot open the file"))
    }
}

impl ReadAt for Npy {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(buf, offset)
            .map_err(|error| Error::io(error, "cannot read the file"))
    }

    fn is_current(&self) -> bool {
        true
    }

    fn file(&self) -> Option<&PublishedFile> {
        None
    }
}

impl ArrayStore {
    /// Publishes the array of a `.npy` file, of any version and byte order, under a new key. Only a part of it is in
    /// memory at a time.
    ///
    /// # Errors
    ///
    /// `Conflict` where the key has an array; `Corrupt`, `Format` or `Unsupported` where the file is no sound `.npy` file of
    /// an [`Element`]; `NotFound` or `Io` where it cannot be read; otherwise as [`insert`](Self::insert).
    pub fn import_npy(&self, key: &str, file: impl AsRef<Path>) -> Result<ArrayInfo> {
        let (key, file) = (Key::new(key)?, file.as_ref());
        self.files().refuse_existing(&key)?;
        let npy = Npy::open(file).map_err(|error| error.at_path(file))?;
        let header = Header::read(&npy).map_err(|error| error.at_path(file))?;
        let info = ArrayInfo::of_header(&header);
        let imported = header.dtype.run(Import { store: self, key, header: &header, npy: &npy });
        imported
            .map_err(|error| if error.key().is_some() { error } else { error.at_path(file) })?;
        Ok(info)
    }

    /// Writes an array to a `.npy` file, which appears whole, checked against its checksum; `None` where the key has none.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the array is damaged; `Full` or `Io` where the file cannot be written; otherwise as
    /// [`info`](Self::info).
    pub fn export_npy(&self, key: &str, file: impl AsRef<Path>) -> Result<Option<ArrayInfo>> {
        let target = path::absolute(file.as_ref())
            .map_err(|error| Error::io(error, "cannot find the file").at_path(file.as_ref()))?;
        let Some(dir) = target.parent().filter(|dir| dir.is_dir()) else {
            let message = "its directory is not there: make it first";
            return Err(Error::new(ErrorKind::NotFound, message).at_path(target));
        };
        let stage = Stage::new(dir, Durability::Process);
        let copied = self.files().with(&Key::new(key)?, |pair| {
            let mut staged = stage.file()?;
            pair.copy(&mut staged)?;
            Ok((staged, ArrayInfo::of(pair)))
        })?;
        let publish =
            |(staged, info): (StagedFile, ArrayInfo)| staged.publish(&target).map(|()| info);
        copied.map(publish).transpose()
    }
}

/// The publication of a file under a key.
struct Import<'a> {
    store: &'a ArrayStore,
    key: Key,
    header: &'a Header,
    npy: &'a Npy,
}

impl ElementWork for Import<'_> {
    type Output = Result<()>;

    fn run<A: Element>(self) -> Result<()> {
        let Self { store, key, header, npy } = self;
        let Layout { shape, fortran_order } = header.layout.clone().canonical();
        let layout = layout::sound::<A>(&shape, fortran_order)?;
        store.admit(&key, A::DTYPE, &layout)?;
        let mut staged = store.files().begin::<A>(&key, &layout)?;
        staged.copy::<A>(&header.payload(npy), layout.len())?;
        let (upload, stamp) = staged.end::<A>(&layout);
        store.publish::<A>(key, layout, upload, stamp).map(drop)
    }
}

impl Pair {
    /// Writes the whole file, and checks it.
    fn copy(&self, out: &mut dyn Write) -> Result<()> {
        let written = |error| Error::io(error, "cannot write the file");
        self.checked(&mut |part| out.write_all(part).map_err(written)).map(drop)
    }
}
