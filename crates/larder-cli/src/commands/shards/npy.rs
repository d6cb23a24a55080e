//! `.npy` files, by way of an array store that nobody sees.

use std::path::{self, Path};

use larder::{
    lazy_array::{ArrayStore, ArrayWriter, Element, Options, ndarray::ArrayView2},
    storage::{
        Durability, Error, ErrorKind, Result,
        publish::{Stage, StagedDir},
    },
};

/// The name of the one array in a store.
pub(super) const KEY: &str = "rows";

/// A store in a directory that goes with it.
#[derive(Debug)]
pub(super) struct Hidden {
    pub(super) store: ArrayStore,
    _dir: StagedDir,
}

impl Hidden {
    /// One on the file system of `dir`.
    ///
    /// # Errors
    /// `Io` or `Full` where it cannot be made.
    pub(super) fn beside(dir: &Path) -> Result<Self> {
        let dir = Stage::new(dir, Durability::Scratch).dir()?;
        let options = Options::default().durability(Durability::Scratch);
        Ok(Self { store: ArrayStore::open(dir.path(), options)?, _dir: dir })
    }
}

/// Writes a file of `rows` rows, which appears whole.
///
/// # Errors
/// `NotFound` where its directory is not there; what `fill` fails with; `Io` or `Full` where it cannot be written.
pub(super) fn write<A: Element>(
    file: &Path,
    rows: usize,
    dim: usize,
    fill: impl FnOnce(&mut ArrayWriter<'_, A>) -> Result<()>,
) -> Result<()> {
    let hidden = Hidden::beside(directory(file)?.as_path())?;
    let mut writer = hidden.store.writer(KEY, &[rows, dim])?;
    fill(&mut writer)?;
    writer.finish()?;
    hidden.store.export_npy(KEY, file).map(drop)
}

/// Appends rows of `dim` elements.
///
/// # Errors
/// Those of the writer.
pub(super) fn append<A: Element>(
    writer: &mut ArrayWriter<'_, A>,
    elements: &[A],
    dim: usize,
) -> Result<()> {
    let rows = elements.len().checked_div(dim).unwrap_or_default();
    let view = ArrayView2::from_shape((rows, dim), elements).map_err(|error| {
        Error::new(ErrorKind::Invalid, "the rows differ in length").with_source(error)
    })?;
    writer.append(view)
}

/// The directory that a file is to be written in.
///
/// # Errors
/// `NotFound` where it is not there.
pub(super) fn directory(file: &Path) -> Result<path::PathBuf> {
    let target = path::absolute(file)
        .map_err(|error| Error::io(error, "cannot find the file").at_path(file))?;
    let parent = target.parent().filter(|dir| dir.is_dir());
    parent.map(Path::to_owned).ok_or_else(|| {
        let message = "its directory is not there: make it first";
        Error::new(ErrorKind::NotFound, message).at_path(file)
    })
}
