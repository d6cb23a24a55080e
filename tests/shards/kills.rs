//! `kill -9` and power cuts at any moment: a shard is there whole or not at all, the index agrees with the shards, and
//! what was acknowledged is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use larder::embedding_shards::EmbeddingCache;
use larder_storage::Durability;

use super::{
    changes::{Change, broken, change, key, number_of, open, path_of, windows},
    numbers,
};
use crate::{
    history::{self, History},
    power::staged,
};

/// How many blocks the changes write.
const BLOCKS: u32 = 9;

#[test]
fn four_hundred_kills_at_any_moment_lose_no_shard_and_leave_no_orphan() {
    history::survives_kills::<Shards>(400);
}

#[test]
fn a_power_cut_loses_no_shard_on_ext4() {
    history::survives_cuts::<Shards>("power cuts of shards on ext4", "ext4", 40);
}

#[test]
fn a_power_cut_loses_no_shard_on_xfs() {
    history::survives_cuts::<Shards>("power cuts of shards on xfs", "xfs", 40);
}

/// What there is of a block, by the number of the change that put it there: rows, in whatever shard, or something else
/// in the place of its own shard.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    Shard(u32),
    Broken(u32),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    blocks: BTreeMap<u32, Content>,
    /// Which changes broke what was moved aside.
    aside: BTreeSet<u32>,
}

impl State {
    /// What is there; fails where a shard is torn, has no index or is not found by it, and where there is anything else.
    fn find(cache: &EmbeddingCache, dir: &Path) -> Self {
        let problems = cache.verify().unwrap().problems.into_iter();
        let mut problems: BTreeMap<_, _> =
            problems.map(|found| (found.place, found.what)).collect();
        let mut files = files(&dir.join("embeddings"));
        let mut rows: BTreeMap<_, _> =
            cache.shards().unwrap().into_iter().map(|info| (info.path, info.rows)).collect();
        let mut state = Self::default();
        for block in 0..BLOCKS {
            let path = path_of(block);
            let file = dir.join(path.as_str());
            if let Some(number) = files.get(&file).and_then(|bytes| breaker(bytes)) {
                problems.remove(path.as_str()).expect("a problem");
                rows.remove(&path);
                files.remove(&file);
                state.blocks.insert(block, Content::Broken(number));
            } else if let Some(number) = shard(cache, block) {
                state.blocks.insert(block, Content::Shard(number));
            }
        }
        assert_eq!(rows.values().sum::<u64>(), state.rows(), "no row is there twice: {rows:?}");
        for path in rows.keys() {
            assert!(files.remove(&dir.join(path.as_str())).is_some(), "{path} is gone");
        }
        assert_eq!(problems, BTreeMap::new());
        for (file, bytes) in files {
            assert!(file.starts_with(dir.join("embeddings/.quarantine")), "{}", file.display());
            let is_new = state.aside.insert(breaker(&bytes).expect("something broken"));
            assert!(is_new, "{} is there twice", file.display());
        }
        state
    }

    /// How many rows the blocks have.
    fn rows(&self) -> u64 {
        let rows = |(block, content): (&u32, &Content)| match *content {
            Content::Shard(number) => windows(*block, number).len() as u64,
            Content::Broken(_) => 0,
        };
        self.blocks.iter().map(rows).sum()
    }

    /// Makes a change.
    fn follow(&mut self, number: u32) {
        match change(number) {
            Change::Write(block, of) => _ = self.blocks.insert(block, Content::Shard(of)),
            Change::Break(block) => _ = self.blocks.insert(block, Content::Broken(number)),
            Change::Remove(block) => _ = self.blocks.remove(&block),
            Change::Repair => self.blocks.retain(|_, content| match *content {
                Content::Broken(number) => !self.aside.insert(number),
                Content::Shard(_) => true,
            }),
            Change::Clear => self.blocks.clear(),
            Change::Reindex | Change::Compact | Change::Refresh => {}
        }
    }
}

/// The number of the change that wrote the rows of a block, which have to be all that it wrote.
fn shard(cache: &EmbeddingCache, block: u32) -> Option<u32> {
    let first = windows(block, 0).start;
    let number = number_of(first, &cache.read(&key(first)).unwrap()?);
    let written = windows(block, number);
    let found = numbers(cache, written.clone());
    assert!(found.iter().all(|found| *found == Some(number)), "block {block} is torn: {found:?}");
    assert_eq!(numbers(cache, written.end..written.end + 3), [None; 3], "block {block}");
    Some(number)
}

/// The change that broke a shard, by what it left there.
fn breaker(bytes: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(bytes).ok()?;
    let number = text.split(' ').next_back()?.parse().ok()?;
    (text == broken(number)).then_some(number)
}

/// The content of every file below a directory, by its path.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// The changes that are known to be done.
#[derive(Default)]
struct Shards {
    state: State,
    /// The number of the next change.
    next: u32,
}

impl History for Shards {
    const WORK: &str = "shards";
    type Store = EmbeddingCache;
    type State = State;

    fn open(place: &Path, durability: Durability) -> EmbeddingCache {
        let cache = open(place, durability).unwrap();
        assert_eq!(staged(place), [] as [PathBuf; 0], "opening sweeps the stage");
        cache
    }

    fn find(&self, cache: &EmbeddingCache, place: &Path, _moment: &str) -> State {
        State::find(cache, place)
    }

    fn state(&self) -> State {
        self.state.clone()
    }

    fn next(&self) -> u32 {
        self.next
    }

    fn follow(&mut self) {
        self.state.follow(self.next);
        self.next += 1;
    }
}
