//! vcti-file-cache 1.0.0 and Larder at work on one root at the same time.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;

use super::{changes::EVICT_ABOVE, *};
use crate::support::{python, text};

/// Uses and evicts models until its time is over. A directory may go at any moment: by its own manager, too.
const WORK: &str = r#"
import json, pathlib, sys, time
from vcti.filecache import CacheManagerConfig, FileCache

root, end, errors = pathlib.Path(sys.argv[1]), time.monotonic() + int(sys.argv[2]) / 1000, []

class Listener:
    def on_evict(self, path): pass
    def on_size_update(self, path, size): pass
    def on_cycle_complete(self, total, count): pass
    def on_error(self, error, context):
        if not isinstance(error, OSError):
            errors.append(f"{context}: {error!r}")

config = CacheManagerConfig(evict_above=150_000, interval=0.05, observer=Listener())
used, missed = 0, 0
with FileCache(root=root, config=config) as cache:
    while time.monotonic() < end:
        for path in [f"theirs/{used % 9}", f"ours/{used % 12}"]:
            try:
                with cache.model(path) as model:
                    if path.startswith("theirs"):
                        (pathlib.Path(model.path) / "data.bin").write_bytes(bytes(9000))
            except OSError:
                missed += 1
        used += 1
print(json.dumps({"used": used, "missed": missed, "errors": errors}))
"#;

#[test]
fn the_package_and_larder_work_on_one_root_at_the_same_time() {
    work_side_by_side(3000);
}

#[test]
#[ignore = "the same for ten seconds"]
fn the_package_and_larder_work_on_one_root_for_ten_seconds() {
    work_side_by_side(10_000);
}

fn work_side_by_side(time_ms: u32) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    drop(open(&root, 5 * EVICT_ABOVE));
    let at_work = AtomicBool::new(true);
    let (looks, said) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&root, &at_work));
        let ours: Vec<_> = (0..2).map(|_| start("beside", &root, time_ms)).collect();
        let time = time_ms.to_string();
        let theirs = python("both at work on one root", WORK, &[&root, Path::new(&time)]);
        at_work.store(false, Ordering::SeqCst);
        let ours: Vec<_> = ours.into_iter().map(Worker::rest).collect();
        (watcher.join().unwrap(), theirs.map(|theirs| (theirs, ours)))
    });
    let Some((theirs, ours)) = said else { return };
    assert!(theirs.status.success(), "{}", text(&theirs.stderr));
    let theirs: Value = serde_json::from_slice(&theirs.stdout).unwrap();
    assert_eq!(theirs["errors"], Value::Array(vec![]), "{theirs}");
    assert!(theirs["used"].as_u64().unwrap() > 100 && looks > 1000, "{theirs}, {looks} looks");
    let built: u32 = ours.iter().map(|built| built.trim().parse::<u32>().unwrap()).sum();
    assert!(built > 0, "the package makes the others before us");

    let cache = open(&root, 5 * EVICT_ABOVE);
    cache.recount().unwrap();
    // What the package writes while its own manager deletes the model stays there, and is no entry.
    let is_debris = |path: &Path| !path.join(".cache_meta").exists();
    for left in list(&root.join("theirs")).into_iter().filter(|path| is_debris(path)) {
        fs::remove_dir_all(left).unwrap();
    }
    assert_sound(&cache, "after both");
}

/// Reads every `.cache_meta` over and over, each of which has to be there whole or not at all; how many it read.
fn watch(root: &Path, at_work: &AtomicBool) -> u32 {
    let mut looks = 0;
    while at_work.load(Ordering::SeqCst) {
        for place in ["ours", "theirs"] {
            for entry in fs::read_dir(root.join(place)).into_iter().flatten().flatten() {
                let Ok(meta) = fs::read(entry.path().join(".cache_meta")) else { continue };
                let meta: Value = serde_json::from_slice(&meta).expect("JSON");
                assert!(meta["access_count"].is_u64() && meta["size"].is_u64(), "{meta}");
                looks += 1;
            }
        }
    }
    looks
}
