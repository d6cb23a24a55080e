//! `kill -9` at any moment of the tour, and the tour again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant, SystemTime},
};

use crate::support::{json, larder};

const KILLS_AT_WORK: u32 = 30;
const MOST_KILLS: u32 = 90;

/// A number below `bound`, from a seed that the failure message repeats.
fn random(seed: u64, bound: u64) -> u64 {
    // SplitMix64, Steele, Lea and Flood, 2014.
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % bound
}

/// Starts a tour and kills it after `delay`; whether it was still at work.
fn kill_after(root: &Path, delay: Duration) -> bool {
    let mut command = larder();
    command.arg("tour").arg("--root").arg(root).stdout(Stdio::null());
    let mut tour = command.spawn().unwrap();
    // The moment of the kill is what is under test, so this waits for time, not for an event.
    thread::sleep(delay);
    let at_work = tour.try_wait().unwrap().is_none();
    tour.kill().unwrap();
    tour.wait().unwrap();
    at_work
}

/// All files of stage areas, and all whose names are those of unfinished files.
fn unfinished(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let staged = path.parent().unwrap().ends_with(".larder/stage") && name != "lock";
        if staged || name.contains(".tmp") {
            found.push(path.clone());
        }
        if path.is_dir() {
            found.extend(unfinished(&path));
        }
    }
    found
}

fn assert_recovers(root: &Path, moment: &str) {
    let started = SystemTime::now();
    let report = json(root, &["tour"]);
    for step in report["steps"].as_array().unwrap() {
        assert_eq!(step["misses"], 0, "{moment}: {report:#}");
    }
    assert_eq!(json(root, &["status"])["clean"], true, "{moment}");
    assert_eq!(json(root, &["verify"])["problems"].as_array().map(Vec::len), Some(0), "{moment}");
    let arrays = json(root, &["array", "status"]);
    assert_eq!(
        (&arrays["arrays"], &arrays["incomplete"]),
        (&2.into(), &0.into()),
        "{moment}: {arrays:#}"
    );
    let left = unfinished(root);
    let old =
        |path: &&PathBuf| fs::metadata(path).is_ok_and(|found| found.modified().unwrap() < started);
    assert_eq!(left.iter().find(old), None, "{moment}: older than the run");
    assert_eq!(left, [] as [PathBuf; 0], "{moment}: nothing is left by a run that ended either");
}

#[test]
fn a_tour_killed_at_any_moment_is_completed_by_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let whole = Instant::now();
    json(&dir.path().join("whole"), &["tour"]);
    let whole = u64::try_from(whole.elapsed().as_micros()).unwrap();
    let seed = u64::from(std::process::id());

    let mut at_work = 0;
    for kill in 0..MOST_KILLS {
        let delay = Duration::from_micros(random(seed + u64::from(kill), whole));
        let root = dir.path().join(kill.to_string());
        at_work += u32::from(kill_after(&root, delay));
        // Every third one is killed once more while it recovers.
        if kill % 3 == 0 {
            at_work += u32::from(kill_after(&root, delay / 2));
        }
        assert_recovers(&root, &format!("killed after {delay:?} (seed {seed}, kill {kill})"));
        fs::remove_dir_all(&root).unwrap();
        if at_work >= KILLS_AT_WORK {
            return;
        }
    }
    panic!("only {at_work} of {MOST_KILLS} kills hit a tour at work");
}
