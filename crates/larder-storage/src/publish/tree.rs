use super::*;

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
