use super::*;

/// The directory in which the areas of all processes that publish under `root` lie.
pub(super) fn stage_dir(root: &Path) -> PathBuf {
    root.join(RESERVED_SEGMENT).join("stage")
}

/// A directory of one living [`Stage`], next to the file whose lock says that it lives.
#[derive(Debug)]
pub(super) struct Area {
    path: PathBuf,
    next: AtomicU64,
    // None only while it is dropped.
    alive: Option<FileLock>,
}

impl Area {
    /// Makes an area, and sweeps those of the dead.
    pub(super) fn claim(stage: &Path) -> Result<Self> {
        let sweeping = FileLock::exclusive(&stage.join("lock"))?;
        // What cannot be removed is in nobody's way.
        let _ = sweep_locked(stage);
        let path = stage.join(new_name());
        let alive = FileLock::exclusive(&lock_of(&path))?;
        fs::create_dir(&path)
            .map_err(|error| Error::io(error, "cannot make a stage area").at_path(&path))?;
        drop(sweeping);
        Ok(Self { path, next: AtomicU64::new(0), alive: Some(alive) })
    }

    /// A path in the area that was not used before.
    pub(super) fn next(&self) -> PathBuf {
        self.path.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // What stays behind has a free lock, so the next sweep takes it.
        let _ = tree::remove(&self.path);
        let _ = self.alive.take().map(FileLock::remove);
    }
}

/// A path in the stage that belongs to no area.
pub(super) fn unowned(root: &Path) -> PathBuf {
    stage_dir(root).join(new_name())
}

fn new_name() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn lock_of(area: &Path) -> PathBuf {
    area.with_extension("lock")
}

/// What [`Stage::sweep`] documents, for a stage directory that need not exist.
pub(super) fn sweep(stage: &Path) -> Result<usize> {
    // Only the lock of the sweepers themselves may be there: then there is nothing to do, and nothing to write.
    if areas(stage)?.is_empty() {
        return Ok(0);
    }
    let _sweeping = FileLock::exclusive(&stage.join("lock"))?;
    sweep_locked(stage)
}

/// New areas are made under the same lock, so one whose own lock is free has no owner any more.
fn sweep_locked(stage: &Path) -> Result<usize> {
    let (mut swept, mut failure) = (0, None);
    for area in areas(stage)? {
        match sweep_one(&area) {
            Ok(removed) => swept += usize::from(removed),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(swept), Err)
}

/// Whether the area was dead, and so is gone.
fn sweep_one(area: &Path) -> Result<bool> {
    let Some(dead) = FileLock::try_exclusive(&lock_of(area))? else { return Ok(false) };
    match tree::remove(area) {
        Err(error) if !is_absent(&error) => {
            Err(Error::io(error, "cannot sweep what a dead process left").at_path(area))
        }
        _ => dead.remove().map(|()| true),
    }
}

/// The areas that have a directory, a lock file or both.
fn areas(stage: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io(error, "cannot list the stage area").at_path(stage);
    let entries = match fs::read_dir(stage) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut areas = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if name != "lock" {
            areas.push(stage.join(name).with_extension(""));
        }
    }
    areas.sort();
    areas.dedup();
    Ok(areas)
}
