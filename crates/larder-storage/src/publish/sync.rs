use super::*;

/// Flushes the directories from the parent of `target` up to `root`, so that the name `target` is durable even where
/// directories on the way are new. One that is gone, because it was emptied, is durable with its parent.
pub(super) fn parents(target: &Path, root: &Path) -> Result<()> {
    for dir in target.ancestors().skip(1) {
        match flush(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound && dir != root => {}
            flushed => flushed?,
        }
        if dir == root {
            break;
        }
    }
    Ok(())
}

/// Flushes every file and directory below `dir`, and `dir` itself.
pub(super) fn tree(dir: &Path) -> Result<()> {
    let failed = |error| Error::io(error, "cannot list what is to be published").at_path(dir);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            tree(&entry.path())?;
        } else if kind.is_file() {
            flush(&entry.path())?;
        }
    }
    flush(dir)
}

fn flush(path: &Path) -> Result<()> {
    // Windows flushes no directory handles, and needs none.
    if cfg!(windows) && path.is_dir() {
        return Ok(());
    }
    let flushed = File::open(path).and_then(|file| file.sync_all());
    flushed.map_err(|error| Error::io(error, "cannot flush to the device").at_path(path))
}
