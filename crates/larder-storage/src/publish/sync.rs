use super::*;

/// Where the durability asks for it, flushes the directories from the parent of `target` up to `root`, so that the
/// change of the name `target` is durable even where directories on the way are new. One that is gone, because it was
/// emptied, is durable with its parent.
pub(super) fn settle(target: &Path, root: &Path, durability: Durability) -> Result<()> {
    if !durability.syncs() {
        return Ok(());
    }
    let below = target.ancestors().skip(1).take_while(|dir| *dir != root);
    for dir in below.chain([root]) {
        match sync_all(dir) {
            Err(error) if is_absent(&error) && dir != root => {}
            Err(error) => {
                let message =
                    "was changed, but a flush failed: whether it survives a power cut is not known";
                return Err(Error::io(error, message).at_path(target));
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Flushes the directories above `dir`, but for those that may not be read and those of file systems that flush none:
/// nobody here can have changed them.
pub(super) fn above(dir: &Path) -> Result<()> {
    for parent in dir.ancestors().skip(1) {
        match sync_all(parent) {
            Err(error) if cannot_be_flushed(&error) => {}
            flushed => flushed.map_err(|error| unflushed(error, parent))?,
        }
    }
    Ok(())
}

fn cannot_be_flushed(error: &io::Error) -> bool {
    use io::ErrorKind as Os;
    matches!(
        error.kind(),
        Os::PermissionDenied | Os::InvalidInput | Os::Unsupported | Os::ReadOnlyFilesystem
    )
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

pub(super) fn flush(path: &Path) -> Result<()> {
    sync_all(path).map_err(|error| unflushed(error, path))
}

fn unflushed(error: io::Error, path: &Path) -> Error {
    Error::io(error, "cannot flush to the device").at_path(path)
}

fn sync_all(path: &Path) -> io::Result<()> {
    // Windows flushes no directory handles, and needs none.
    if cfg!(windows) && path.is_dir() {
        return Ok(());
    }
    // The current directory has the empty path as its parent.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}
