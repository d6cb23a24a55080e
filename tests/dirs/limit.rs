//! Under a hard limit no more is on the disk than may be, with what is being built and what is being deleted.

use std::{collections::HashSet, os::unix::fs::MetadataExt};

use super::*;
use crate::support::not_possible;

/// As the worker has it.
const LIMIT: u64 = 2 << 20;
const BLOCK: u64 = 4096;

/// Lets processes stand still, or go on.
fn signal(signal: &str, processes: &[Worker]) {
    let ids = processes.iter().map(|worker| worker.id().to_string());
    assert!(Command::new("kill").arg(signal).args(ids).status().unwrap().success());
}

/// What the kernel says of a process: `T` where it stands still, `Z` where it has ended.
fn state(worker: &Worker) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", worker.id())).unwrap();
    stat.rsplit(") ").next().unwrap().chars().next().unwrap()
}

/// What all below a directory occupies on the disk but for the cache's bookkeeping, each inode once, and how many files
/// there are.
#[derive(Default)]
struct Du {
    bytes: u64,
    files: u64,
    seen: HashSet<u64>,
}

impl Du {
    fn of(root: &Path) -> Self {
        let mut du = Self::default();
        du.add(root);
        du
    }

    fn add(&mut self, path: &Path) {
        let found = fs::symlink_metadata(path).unwrap();
        if self.seen.insert(found.ino()) {
            self.bytes += found.blocks() * 512;
            self.files += u64::from(!found.is_dir());
        }
        let own = ["dirs.sqlite", "accesses", "leases", "flights", "locks"];
        for child in found.is_dir().then(|| fs::read_dir(path).unwrap()).into_iter().flatten() {
            let child = child.unwrap();
            let name = child.file_name().into_string().unwrap();
            if !(path.ends_with(".larder") && own.iter().any(|own| name.starts_with(own))) {
                self.add(&child.path());
            }
        }
    }
}

#[test]
fn what_is_on_the_disk_never_exceeds_a_hard_limit_that_builders_reserve_under() {
    if !Path::new("/proc/self/stat").exists() {
        return not_possible("real bytes under a hard limit", "processes stand still by /proc");
    }
    let dir = tempfile::tempdir().unwrap();
    let builders: Vec<_> = (0..4).map(|id| start("limited", dir.path(), id)).collect();
    let (mut most, mut samples) = (0, 0);
    loop {
        signal("-STOP", &builders);
        while builders.iter().any(|worker| !"TZ".contains(state(worker))) {
            std::thread::yield_now();
        }
        let du = Du::of(dir.path());
        let allowed = LIMIT + BLOCK * du.files;
        assert!(du.bytes <= allowed, "{} bytes in {} files", du.bytes, du.files);
        (most, samples) = (most.max(du.bytes), samples + 1);
        let over = builders.iter().all(|worker| state(worker) == 'Z');
        signal("-CONT", &builders);
        if over {
            break;
        }
    }
    assert!(most > LIMIT / 4 * 3 && samples > 50, "at most {most} in {samples} samples");
    let refused: Vec<_> = builders.into_iter().map(Worker::rest).collect();
    assert_eq!(refused, ["0\n"; 4], "of 2 MiB at most 12 times 120 KiB were ever in use");
    let cache = DirCache::open(dir.path(), options(LIMIT).limit(LIMIT)).unwrap();
    assert_sound(&cache, "after all");
    assert!(cache.status().unwrap().used <= LIMIT);
}
