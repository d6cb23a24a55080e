use rustix::fs::{Mode, OFlags};

use super::*;

/// A file that never has a name; `None` where the file system knows none, or the directory is not there.
pub(super) fn in_dir(dir: &Path) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    // Nobody gives it a name later.
    let flags = flags | OFlags::EXCL;
    rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR).ok().map(File::from)
}
