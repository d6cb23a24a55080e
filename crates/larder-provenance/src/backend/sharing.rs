//! Whether others with an index of their own may use what is on the storage.

use std::{
    error::Error as _,
    fs,
    io::{self, ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use larder_storage::{Durability, Error, RESERVED_SEGMENT, Result, Storage, publish::Stage};

#[derive(Debug, Default)]
pub(crate) struct Sharing {
    is_shared: AtomicBool,
    /// Of a local root, whose mark somebody may set at any time.
    mark: Option<PathBuf>,
}

impl Sharing {
    /// Of a storage whose index lies in `dir`, which is there. A local root is marked where that lies elsewhere.
    pub(crate) fn of(storage: &dyn Storage, dir: &Path, durability: Durability) -> Result<Self> {
        let Some(root) = storage.local_root() else {
            return Ok(Self { is_shared: AtomicBool::new(true), mark: None });
        };
        let mark = root.join(RESERVED_SEGMENT).join("shared");
        let is_elsewhere = fs::canonicalize(dir).is_ok_and(|dir| dir != root);
        if is_elsewhere && !mark.exists() {
            match Stage::new(root, durability).write(&mark, b"") {
                // Who may not write here has no record of its own whose payload could go.
                Err(error) if may_not_write(&error) => {}
                set => set?,
            }
        }
        Ok(Self { is_shared: AtomicBool::new(is_elsewhere), mark: Some(mark) })
    }

    pub(crate) fn is_shared(&self) -> bool {
        if self.is_shared.load(Ordering::Relaxed) {
            return true;
        }
        let is_marked = self.mark.as_ref().is_some_and(|mark| mark.exists());
        self.is_shared.fetch_or(is_marked, Ordering::Relaxed);
        is_marked
    }
}

fn may_not_write(error: &Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| matches!(cause.kind(), PermissionDenied | ReadOnlyFilesystem))
}
