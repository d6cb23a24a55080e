//! Power cuts: what was acknowledged at `Power` is there and whole after each of them, and nothing torn is seen.

mod disk;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use larder_storage::{
    Bytes, Durability, Key, LocalStorage, PutIf, Storage,
    publish::{Stage, StagedDir},
    testing::Model,
};

pub(crate) use disk::Disk;

/// Cuts right after an acknowledgement, on each file system.
const CUTS_AFTER: u32 = 160;
/// Cuts while several threads write, on each file system.
const CUTS_AT_WORK: u32 = 48;

#[test]
fn what_is_acknowledged_survives_every_power_cut_on_ext4() {
    survives_cuts_after_each_step("power cuts after each step on ext4", "ext4");
}

#[test]
fn what_is_acknowledged_survives_every_power_cut_on_xfs() {
    survives_cuts_after_each_step("power cuts after each step on xfs", "xfs");
}

#[test]
fn a_power_cut_in_the_middle_leaves_the_old_or_the_new_on_ext4() {
    survives_cuts_at_work("power cuts at work on ext4", "ext4");
}

#[test]
fn a_power_cut_in_the_middle_leaves_the_old_or_the_new_on_xfs() {
    survives_cuts_at_work("power cuts at work on xfs", "xfs");
}

#[test]
fn a_power_cut_takes_what_was_not_flushed_on_ext4() {
    loses_what_was_not_flushed("loss by a power cut on ext4", "ext4");
}

#[test]
fn a_power_cut_takes_what_was_not_flushed_on_xfs() {
    loses_what_was_not_flushed("loss by a power cut on xfs", "xfs");
}

/// Else the other tests would show nothing.
fn loses_what_was_not_flushed(test: &str, kind: &str) {
    let Some(mut disk) = Disk::make(test, kind) else { return };
    let storage = LocalStorage::open(disk.path(), Durability::Process).unwrap();
    let stage = Stage::new(disk.path(), Durability::Process);
    storage.put(&key("object"), "x".into(), PutIf::Always).unwrap();
    staged_tree(&stage, 7).publish(&disk.path().join("tree")).unwrap();
    disk.cut();
    drop((storage, stage));
    disk.restart();
    assert!(!disk.path().join("object").exists());
    assert!(!disk.path().join("tree").exists());
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn content(seed: u32, len: usize) -> Bytes {
    seed.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// Objects and directory trees on one disk, and what is known about them.
#[derive(Default)]
struct World {
    model: Model,
    /// The seed of each tree that may be there, and whether it was acknowledged.
    trees: BTreeMap<PathBuf, (u32, Acknowledged)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Acknowledged {
    There,
    Gone,
    Neither,
}

fn objects(disk: &Disk) -> LocalStorage {
    LocalStorage::open(disk.path().join("objects"), Durability::Power).unwrap()
}

fn survives_cuts_after_each_step(test: &str, kind: &str) {
    let Some(mut disk) = Disk::make(test, kind) else { return };
    let mut world = World::default();
    for step in 0..CUTS_AFTER {
        let storage = objects(&disk);
        let stage = Stage::new(disk.path().join("trees"), Durability::Power);
        world.change(&storage, &stage, &disk.path().join("trees"), step);
        disk.cut();
        drop((storage, stage));
        disk.restart();
        world.check(&disk, &format!("{kind}, cut {step}"));
    }
}

fn survives_cuts_at_work(test: &str, kind: &str) {
    let Some(mut disk) = Disk::make(test, kind) else { return };
    let mut world = World::default();
    for cut in 0..CUTS_AT_WORK {
        let storage = objects(&disk);
        let work = Work::default();
        thread::scope(|scope| {
            let (storage, work, trees) = (&storage, &work, disk.path().join("trees"));
            let writers: Vec<_> =
                (0..3).map(|id| scope.spawn(move || work.write(storage, id))).collect();
            let publisher = scope.spawn(move || work.publish(&trees, cut));
            // Each time at another moment, of some forty steps.
            while work.steps.load(Ordering::SeqCst) < 1 + cut * 7 % 41 {
                thread::yield_now();
            }
            work.is_over.store(true, Ordering::SeqCst);
            disk.cut();
            writers.into_iter().for_each(|writer| world.model.extend(writer.join().unwrap()));
            world.trees.extend(publisher.join().unwrap());
        });
        drop(storage);
        disk.restart();
        world.check(&disk, &format!("{kind}, cut {cut} at work"));
        empty(&disk, &mut world);
    }
}

/// What the threads that write until the power is cut share.
#[derive(Default)]
struct Work {
    steps: AtomicU32,
    /// Set before the cut. An answer from then on is one that nobody gets: a real cut takes the machine along, but
    /// after this one XFS goes on to call the flush of a directory a success.
    is_over: AtomicBool,
}

impl Work {
    fn begin_step(&self) {
        self.steps.fetch_add(1, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Puts, uploads and removes under keys of its own.
    fn write(&self, storage: &LocalStorage, id: u32) -> Model {
        let mut model = Model::new();
        for round in 0.. {
            self.begin_step();
            let key = key(&format!("writer-{id}/a/{}", round % 3));
            let (mut unanswered, bytes) = (model.clone(), content(round, 20_000));
            let outcome = match (round / 3) % 4 {
                3 => {
                    unanswered.attempt(&key, None);
                    model.remove(storage, &key)
                }
                2 => {
                    unanswered.attempt(&key, Some(bytes.clone()));
                    model.upload(storage, &key, bytes)
                }
                _ => {
                    unanswered.attempt(&key, Some(bytes.clone()));
                    model.put(storage, &key, bytes)
                }
            };
            if self.is_over() {
                return unanswered;
            }
            outcome.unwrap();
        }
        model
    }

    /// Publishes one tree after the other.
    fn publish(&self, root: &Path, cut: u32) -> BTreeMap<PathBuf, (u32, Acknowledged)> {
        let stage = Stage::new(root, Durability::Power);
        let mut trees = BTreeMap::new();
        for seed in 0.. {
            self.begin_step();
            let target = root.join(format!("{cut}-{seed}"));
            trees.insert(target.clone(), (seed, Acknowledged::Neither));
            let published = try_staged_tree(&stage, seed).and_then(|it| Ok(it.publish(&target)?));
            if self.is_over() {
                break;
            }
            published.unwrap();
            trees.insert(target, (seed, Acknowledged::There));
        }
        trees
    }
}

/// Removes what a round left, so that the next one starts from nothing.
fn empty(disk: &Disk, world: &mut World) {
    let storage = objects(disk);
    let found: Vec<_> = storage.list(None).unwrap().map(|entry| entry.unwrap().key).collect();
    for key in found {
        world.model.remove(&storage, &key).unwrap();
    }
    let stage = Stage::new(disk.path().join("trees"), Durability::Power);
    for (target, (_, state)) in &mut world.trees {
        stage.discard(target).unwrap();
        *state = Acknowledged::Gone;
    }
}

const TREE: [(&str, usize); 4] =
    [("one", 10), ("two", 20_000), ("deep/three", 5000), ("deep/er/four", 1)];

fn try_staged_tree(stage: &Stage, seed: u32) -> Result<StagedDir, Box<dyn std::error::Error>> {
    let staged = stage.dir()?;
    fs::create_dir_all(staged.path().join("deep/er"))?;
    for (name, len) in TREE {
        fs::write(staged.path().join(name), content(seed, len))?;
    }
    Ok(staged)
}

fn staged_tree(stage: &Stage, seed: u32) -> StagedDir {
    try_staged_tree(stage, seed).unwrap()
}

impl World {
    /// One change, acknowledged.
    fn change(&mut self, storage: &LocalStorage, stage: &Stage, trees: &Path, step: u32) {
        let (round, model) = (step / 8, &mut self.model);
        let deep = key(&format!("deep-{round}/x/y/z"));
        let tree = trees.join(format!("a/{round}"));
        match step % 8 {
            0 => model.put(storage, &key(&format!("fresh-{round}")), content(step, 400)),
            1 => model.put(storage, &key("overwritten"), content(step, 70_000)),
            2 => model.put(storage, &deep, content(step, 1)),
            3 => {
                model.upload(storage, &key(&format!("large/{}", round % 3)), content(step, 200_000))
            }
            4 => {
                self.trees.insert(tree.clone(), (step, Acknowledged::There));
                staged_tree(stage, step).publish(&tree)
            }
            5 => model.remove(storage, &deep),
            6 => model.remove(storage, &key(&format!("fresh-{round}"))),
            _ => {
                self.trees.insert(tree.clone(), (step, Acknowledged::Gone));
                stage.discard(&tree).map(|found| assert!(found))
            }
        }
        .unwrap();
    }

    fn check(&mut self, disk: &Disk, moment: &str) {
        let storage = objects(disk);
        self.model.check(&storage, moment);
        Stage::sweep(&disk.path().join("trees")).unwrap();
        for root in ["objects", "trees"] {
            assert_eq!(staged(&disk.path().join(root)), [] as [PathBuf; 0], "{moment}: not swept");
        }
        for (target, (seed, state)) in &self.trees {
            let place = format!("{moment}: {}", target.display());
            match state {
                Acknowledged::Gone => assert!(!target.exists(), "{place} is back"),
                Acknowledged::Neither if !target.exists() => {}
                _ => check_tree(target, *seed, &place),
            }
        }
    }
}

fn check_tree(target: &Path, seed: u32, place: &str) {
    for (name, len) in TREE {
        let found = fs::read(target.join(name));
        let found = found.unwrap_or_else(|error| panic!("{place}: {name}: {error}"));
        assert!(found == content(seed, len), "{place}: {name} has {} wrong bytes", found.len());
    }
}

/// What lies in the stage area below a root, but for the lock of those who sweep it.
pub(crate) fn staged(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(".larder/stage")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("lock")).collect()
}

/// What is staged, in the area of a store that is open, too.
pub(crate) fn in_stages(root: &Path) -> Vec<PathBuf> {
    list(&root.join(".larder/stage")).iter().flat_map(|area| list(area)).collect()
}

/// The paths of what lies in a directory, if it is one.
pub(crate) fn list(dir: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(dir).into_iter().flatten();
    found.map(|entry| entry.unwrap().path()).collect()
}
