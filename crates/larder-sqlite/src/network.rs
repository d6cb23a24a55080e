//! File systems on which SQLite's write-ahead log does not work: its index is memory that all users of a database share.

use std::path::Path;

use larder_storage::{Error, ErrorKind, Result};

/// The numbers by which the kernel knows them, from `linux/magic.h` and their own sources.
const NETWORK: [(u32, &str); 9] = [
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x0102_1997, "9P"),
    (0x5346_414f, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
];

/// Refuses a directory on another machine, as far as that can be told.
pub(crate) fn check_local(dir: &Path) -> Result<()> {
    match kind(dir).and_then(name) {
        Some(name) => Err(refused(name).at_path(dir)),
        None => Ok(()),
    }
}

fn refused(name: &str) -> Error {
    let message = format!(
        "lies on a network file system ({name}), where databases are not safe: choose a local directory"
    );
    Error::new(ErrorKind::Unsupported, message)
}

fn name(kind: u32) -> Option<&'static str> {
    NETWORK.iter().find(|known| known.0 == kind).map(|known| known.1)
}

#[cfg(target_os = "linux")]
fn kind(dir: &Path) -> Option<u32> {
    // Sign-extended where it has 32 bits.
    rustix::fs::statfs(dir).ok().map(|found| found.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
fn kind(_dir: &Path) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_directory_is_taken_and_others_are_named() {
        check_local(&std::env::temp_dir()).unwrap();
        assert_eq!(name(0x6969), Some("NFS"));
        assert_eq!(name(0xef53), None, "ext4");
        let error = refused("NFS").at_path("/mnt/shared");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.to_string().lines().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_tells_what_lies_where() {
        assert_eq!(kind(Path::new("/proc")), Some(0x9fa0));
        assert_eq!(kind(Path::new("/no/such/place")), None);
    }
}
