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
    sync_all(path).map_err(|error| Error::io(error, "cannot flush to the device").at_path(path))
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
