use super::*;

/// Removes a directory with all that is in it, file by file, also where directories in it may not be written; whether
/// there was one.
///
/// # Errors
///
/// `Io` where a part of it cannot be removed: what can be is gone then.
pub fn remove_dir(dir: &Path) -> Result<bool> {
    match remove(dir) {
        Err(error) if is_absent(&error) && !is_there(dir) => Ok(false),
        Err(error) => Err(Error::io(error, "cannot be removed").at_path(dir)),
        Ok(()) => Ok(true),
    }
}

/// Removes a directory and all in it, also where unpacking left directories that their owner may not write.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unseal(dir)?;
            fs::remove_dir_all(dir)
        }
        removed => removed,
    }
}

/// Lets the owner write each directory.
#[cfg(unix)]
fn unseal(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(dir)?.permissions().mode();
    fs::set_permissions(dir, fs::Permissions::from_mode(mode | 0o700))?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unseal(&entry.path())?;
        }
    }
    Ok(())
}

/// Directories have no such permission here.
#[cfg(not(unix))]
fn unseal(_dir: &Path) -> io::Result<()> {
    Ok(())
}
