//! Shards that are cut short, have a flipped bit, are of another program or no files at all: told by the right kind,
//! kept, and no harm to the others.

use std::{fs, path::PathBuf, sync::Arc};

use larder::embedding_shards::{EmbeddingCache, Options};
use larder_storage::{Durability, ErrorKind, LocalStorage};
use tempfile::TempDir;

use super::{
    changes::{embedding, key, open, path_of, write},
    kind, numbers,
};
use crate::support::{python, text};

/// A cache whose shard of block 1 is whole, and whose shard of block 0 may be anything.
struct Scene {
    dir: TempDir,
    /// What the shard of block 0 was when it was whole.
    whole: Vec<u8>,
}

/// How many rows each shard has.
const ROWS: u32 = 5;
/// Nobody cuts the power here, and flushes would take most of the time.
const DURABILITY: Durability = Durability::Scratch;

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), DURABILITY).unwrap();
        write(&cache, 0, 0..ROWS, 1).unwrap();
        write(&cache, 1, 10..10 + ROWS, 1).unwrap();
        let whole = fs::read(dir.path().join(path_of(0).as_str())).unwrap();
        Self { dir, whole }
    }

    fn open(&self) -> EmbeddingCache {
        open(self.dir.path(), DURABILITY).unwrap()
    }

    /// As somebody opens the cache who has no index of it.
    fn open_anew(&self, index: &TempDir) -> EmbeddingCache {
        let storage = LocalStorage::open(self.dir.path(), DURABILITY).unwrap();
        let options = Options::default().durability(DURABILITY);
        EmbeddingCache::on(Arc::new(storage), index.path(), options).unwrap()
    }

    fn file(&self, block: u32) -> PathBuf {
        self.dir.path().join(path_of(block).as_str())
    }

    fn put(&self, block: u32, bytes: &[u8]) {
        // Some file systems flush a file that is cut and written anew.
        let _ = fs::remove_file(self.file(block));
        fs::write(self.file(block), bytes).unwrap();
    }

    /// Reads all, and counts what is there of block 0; it has to be right, or refused by this kind.
    fn count(&self, cache: &EmbeddingCache, refused: ErrorKind, what: &str) -> u32 {
        assert_eq!(numbers(cache, 10..10 + ROWS), [Some(1); ROWS as usize], "{what}");
        let is_there = |window: &u32| match cache.read(&key(*window)) {
            Ok(found) => {
                assert!(found.is_none() || found == Some(embedding(*window, 1)), "{what}");
                found.is_some()
            }
            Err(error) => {
                assert_eq!(error.kind(), refused, "{what}: {error:?}");
                false
            }
        };
        (0..ROWS).filter(is_there).count() as u32
    }

    /// Repairs, after which `damaged` has to be kept, and makes the shard whole again. Returns whether it was moved aside.
    fn mend(&self, damaged: &[u8], what: &str) -> bool {
        let cache = self.open();
        let aside = cache.repair().unwrap().quarantined.pop();
        let place = aside.as_ref().map_or(self.file(0), |aside| self.dir.path().join(aside));
        assert!(fs::read(&place).unwrap() == damaged, "{what}: is not kept");
        fs::remove_file(place).unwrap();
        assert_eq!(numbers(&cache, 10..10 + ROWS), [Some(1); ROWS as usize], "{what}");
        self.put(0, &self.whole);
        cache.reindex().unwrap();
        assert!(cache.verify().unwrap().is_clean(), "{what}");
        assert_eq!(numbers(&cache, 0..ROWS), [Some(1); ROWS as usize], "{what}");
        aside.is_some()
    }
}

#[test]
fn a_shard_that_was_cut_short_is_told_and_kept() {
    let scene = Scene::new();
    let len = scene.whole.len();
    for len in (0..len).step_by(len / 40).chain(len - 12..len) {
        let (what, cut) = (format!("cut to {len} bytes"), &scene.whole[..len]);
        scene.put(0, cut);
        let (known, index) = (scene.open(), tempfile::tempdir().unwrap());
        assert_eq!(kind(known.read(&key(0))), ErrorKind::Corrupt, "{what}");
        assert_eq!(kind(write(&known, 0, 0..ROWS, 1)), ErrorKind::Corrupt, "{what}");
        let anew = scene.open_anew(&index);
        assert_eq!((anew.skipped().len(), numbers(&anew, 0..1)), (1, vec![None]), "{what}");
        for cache in [known, anew] {
            assert_eq!(scene.count(&cache, ErrorKind::Corrupt, &what), 0, "{what}");
            let problems = cache.verify().unwrap().problems;
            assert_eq!(problems.len(), 1, "{what}: {problems:?}");
            assert_eq!(problems[0].place, path_of(0).as_str(), "{what}");
        }
        assert!(scene.mend(cut, &what), "{what}: is not moved aside");
    }
}

#[test]
fn a_flipped_bit_in_a_shard_that_nobody_has_indexed_is_told_or_changes_no_row() {
    let scene = Scene::new();
    let (mut told, mut flips) = (0, 0);
    // Every so many bytes, each time another bit.
    for at in (0..scene.whole.len()).step_by(7) {
        let what = format!("byte {at} of {}", scene.whole.len());
        let mut damaged = scene.whole.clone();
        damaged[at] ^= 1 << (at % 8);
        scene.put(0, &damaged);
        let index = tempfile::tempdir().unwrap();
        let cache = scene.open_anew(&index);
        let there = scene.count(&cache, ErrorKind::Corrupt, &what);
        let is_told = !cache.verify().unwrap().is_clean();
        assert!(is_told || there == ROWS, "{what}: {there} rows, and all is well");
        if is_told {
            scene.mend(&damaged, &what);
        }
        (told, flips) = (told + u32::from(is_told), flips + 1);
    }
    assert!(told > flips / 4, "only {told} of {flips} were told");
}

/// What other programs leave under the name of a shard, and how it is refused.
fn foreign(scene: &Scene) -> Vec<(&'static str, Vec<u8>, ErrorKind)> {
    let mut foreign = vec![
        ("empty", Vec::new(), ErrorKind::Corrupt),
        ("text", b"precious".to_vec(), ErrorKind::Corrupt),
        ("magic", b"PAR1".repeat(9), ErrorKind::Corrupt),
        ("database", [b"SQLite format 3\0", &[0; 4080][..]].concat(), ErrorKind::Corrupt),
    ];
    foreign.extend(from_python(scene).into_iter().flatten());
    foreign
}

/// Sound Parquet files: of another table, and of a shard that was compressed anew by other means.
const REWRITE: &str = r#"
import pathlib, sys
import pyarrow as pa, pyarrow.parquet as pq
shard, out = map(pathlib.Path, sys.argv[1:])
pq.write_table(pa.table({"embedding": [1.0, 2.0]}), out / "table")
rows = pq.read_table(shard).drop_columns(["embedding_crc32c", "source_crc32c"]).replace_schema_metadata(None)
pq.write_table(rows, out / "gzip", compression="gzip")
pq.write_table(rows.drop_columns(["window_hash"]), out / "short", compression="zstd")
"#;

fn from_python(scene: &Scene) -> Option<[(&'static str, Vec<u8>, ErrorKind); 3]> {
    let out = tempfile::tempdir().unwrap();
    let output = python("foreign shards", REWRITE, &[&scene.file(0), out.path()])?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let kinds = [
        ("table", ErrorKind::Corrupt),
        ("gzip", ErrorKind::Unsupported),
        ("short", ErrorKind::Corrupt),
    ];
    Some(kinds.map(|(name, kind)| (name, fs::read(out.path().join(name)).unwrap(), kind)))
}

#[test]
fn what_other_programs_left_is_told_and_kept() {
    let scene = Scene::new();
    for (name, bytes, expected) in foreign(&scene) {
        scene.put(2, &bytes);
        let cache = scene.open();
        let places: Vec<_> = cache.skipped().iter().map(|problem| &*problem.place).collect();
        assert_eq!(places, [path_of(2).as_str()], "{name}");
        assert_eq!(scene.count(&cache, ErrorKind::Corrupt, name), ROWS);
        assert_eq!(kind(write(&cache, 2, 20..25, 1)), expected, "{name}");
        assert_eq!(cache.verify().unwrap().problems.len(), 1, "{name}");
        let report = cache.repair().unwrap();
        // What a newer version or another program may read stays.
        let place = match &report.quarantined[..] {
            [aside] if expected == ErrorKind::Corrupt => scene.dir.path().join(aside),
            [] if expected != ErrorKind::Corrupt => scene.file(2),
            _ => panic!("{name}: {report:?}"),
        };
        assert!(fs::read(&place).unwrap() == bytes, "{name} is kept");
        fs::remove_file(place).unwrap();
        assert_eq!(scene.count(&cache, ErrorKind::Corrupt, name), ROWS);
    }
    write(&scene.open(), 2, 20..25, 1).unwrap();
    assert!(scene.open().verify().unwrap().is_clean());
}

#[test]
fn a_shard_of_another_cache_is_taken_on_where_it_is_copied_to() {
    let (scene, other) = (Scene::new(), tempfile::tempdir().unwrap());
    let cache = open(other.path(), DURABILITY).unwrap();
    write(&cache, 2, 20..30, 4).unwrap();
    fs::copy(other.path().join(path_of(2).as_str()), scene.file(2)).unwrap();
    let cache = scene.open();
    assert!(cache.skipped().is_empty());
    assert_eq!(numbers(&cache, [0, 10, 20, 29]), [Some(1), Some(1), Some(4), Some(4)]);
    assert!(cache.verify().unwrap().is_clean());
    // In the place of another shard it is not taken for that one.
    fs::copy(scene.file(2), scene.file(0)).unwrap();
    assert_eq!(kind(scene.open().read(&key(0))), ErrorKind::Corrupt);
    assert!(!scene.open().verify().unwrap().is_clean());
    assert_eq!(numbers(&scene.open(), [10, 20, 29]), [Some(1), Some(4), Some(4)]);
}

#[test]
fn a_directory_in_the_place_of_a_shard_is_left_alone_unless_it_is_empty() {
    let scene = Scene::new();
    // Whoever had the cache open before has the shard in the index.
    let replaced = || {
        let cache = scene.open();
        fs::remove_file(scene.file(0)).unwrap();
        fs::create_dir(scene.file(0)).unwrap();
        cache
    };
    let (cache, thesis) = (replaced(), scene.file(0).join("thesis.tex"));
    fs::write(&thesis, "precious").unwrap();
    assert_eq!(kind(cache.read(&key(0))), ErrorKind::NotFound);
    assert_eq!(cache.verify().unwrap().problems.len(), 1);
    for cache in [cache, scene.open()] {
        assert_eq!(kind(write(&cache, 0, 0..ROWS, 1)), ErrorKind::Invalid);
        assert_eq!(cache.repair().unwrap().quarantined, [] as [String; 0]);
        assert_eq!(scene.count(&cache, ErrorKind::NotFound, "a directory"), 0);
        assert!(cache.verify().unwrap().is_clean());
    }
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "precious");
    fs::remove_file(thesis).unwrap();
    write(&scene.open(), 0, 0..ROWS, 1).unwrap();
    let cache = replaced();
    write(&cache, 0, 0..ROWS, 1).unwrap();
    assert_eq!(scene.count(&cache, ErrorKind::NotFound, "an empty directory"), ROWS);
    assert!(scene.open().verify().unwrap().is_clean());
}
