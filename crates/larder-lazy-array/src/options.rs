use std::{fmt, path::PathBuf};

use larder_storage::{Durability, Error, ErrorKind, Key, Result};

use crate::{ArrayConfig, ArrayInfo, DType, Hooks, MemoryBudget, sync::Arc};

/// How an [`ArrayStore`](crate::ArrayStore) is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) budget: MemoryBudget,
    pub(crate) durability: Durability,
    pub(crate) scratch: Option<PathBuf>,
    pub(crate) checked: bool,
    pub(crate) config: ArrayConfig,
    pub(crate) hooks: Option<Arc<dyn Hooks>>,
    pub(crate) admission: Admission,
}

impl Options {
    /// The budget that the arrays in memory count towards; [`MemoryBudget::default`] without one. Stores that are
    /// given clones share it.
    #[must_use]
    pub fn budget(self, budget: MemoryBudget) -> Self {
        Self { budget, ..self }
    }

    /// What published arrays survive, for [`ArrayStore::open`](crate::ArrayStore::open); a storage of one's own has a
    /// durability of its own.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// The directory in which edited arrays are spilled, to a file without a name; without one the store's own, or,
    /// where the storage is not local, `scratch` in [`default_root`](larder_storage::default_root) (in the system's
    /// temporary directory without that).
    #[must_use]
    pub fn scratch(self, directory: impl Into<PathBuf>) -> Self {
        Self { scratch: Some(directory.into()), ..self }
    }

    /// Whether mapped arrays are checked against their checksum too when they are loaded, which reads the whole file. Off by
    /// default.
    #[must_use]
    pub fn checked(self, checked: bool) -> Self {
        Self { checked, ..self }
    }

    /// The configuration of new arrays.
    #[must_use]
    pub fn config(self, config: ArrayConfig) -> Self {
        Self { config, ..self }
    }

    /// What is told when arrays come into memory and leave it.
    #[must_use]
    pub fn hooks(self, hooks: impl Hooks + 'static) -> Self {
        Self { hooks: Some(Arc::new(hooks)), ..self }
    }

    /// The element types that new arrays may have; any, without this.
    #[must_use]
    pub fn dtypes(mut self, dtypes: impl Into<Vec<DType>>) -> Self {
        self.admission.dtypes = Some(dtypes.into());
        self
    }

    /// What looks at every new array before it is published, and may refuse it. No lock is held meanwhile.
    #[must_use]
    pub fn validator(
        mut self,
        validator: impl Fn(&Key, &ArrayInfo) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.admission.validator = Some(Arc::new(validator));
        self
    }
}

type Validator = dyn Fn(&Key, &ArrayInfo) -> Result<()> + Send + Sync;

/// Which arrays a store takes.
#[derive(Clone, Default)]
pub(crate) struct Admission {
    dtypes: Option<Vec<DType>>,
    validator: Option<Arc<Validator>>,
}

impl Admission {
    pub(crate) fn admit(&self, key: &Key, info: &ArrayInfo) -> Result<()> {
        if let Some(dtypes) = &self.dtypes
            && !dtypes.contains(&info.dtype)
        {
            let taken: Vec<_> = dtypes.iter().map(DType::to_string).collect();
            let message = format!(
                "has elements of type {}: the store takes {}",
                info.dtype,
                taken.join(", ")
            );
            return Err(Error::new(ErrorKind::Invalid, message).at_key(key));
        }
        self.validator.as_ref().map_or(Ok(()), |validator| validator(key, info))
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("dtypes", &self.dtypes).finish_non_exhaustive()
    }
}
