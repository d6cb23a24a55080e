//! When rows are checked, and what happens to those that are moved meanwhile.

use std::{cell::Cell, os::unix::fs::FileExt};

use larder_storage::Error;

use super::*;

/// Flips a bit of the row of `window` where it lies, so that open files have it, too.
fn damage_in_place(f: &Fixture, shard: &Key, window: u32) {
    let file = fs::File::options().read(true).write(true).open(f.file(shard)).unwrap();
    let found = f.cache.index.find_one(&key(window)).unwrap().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, found.offset.unwrap() + 5).unwrap();
    file.write_all_at(&[byte[0] ^ 1], found.offset.unwrap() + 5).unwrap();
}

#[test]
fn rows_are_checked_when_the_options_say_so() {
    for verify in [Verify::Off, Verify::FirstTouch, Verify::Always] {
        let f = Fixture::new();
        let shard = f.write(0, 0..5);
        let cache = EmbeddingCache::open(f.dir.path(), Options::default().verify(verify)).unwrap();
        assert!(cache.read(&key(1)).unwrap().is_some());
        damage_in_place(&f, &shard, 1);
        damage_in_place(&f, &shard, 2);
        let is_seen =
            |window| cache.read(&key(window)).is_err_and(|e| e.kind() == ErrorKind::Corrupt);
        assert_eq!(is_seen(1), verify == Verify::Always, "{verify:?}: it was good before");
        assert_eq!(is_seen(2), verify != Verify::Off, "{verify:?}");
        assert_eq!(is_seen(2), verify != Verify::Off, "{verify:?}: damage is not taken as checked");
        assert!(!cache.verify().unwrap().is_clean());
    }
}

#[test]
fn rows_that_were_moved_after_they_were_looked_up_are_looked_up_again() {
    let f = Fixture::new();
    let old = f.write(0, 0..5);
    let calls = Cell::new(0);
    let gone = || Error::new(ErrorKind::NotFound, "gone");
    let found = f.cache.look_up(&[key(3)], |found| {
        calls.set(calls.get() + 1);
        if calls.get() == 1 {
            f.cache.storage.remove(&old)?;
            f.cache.forget(std::slice::from_ref(&old))?;
            f.write(1, 0..5);
            return Err(gone());
        }
        Ok(found[0].as_ref().map(|found| found.shard.path.clone()))
    });
    assert_eq!(
        found.unwrap().unwrap(),
        Key::new(old.as_str().replace("chr1_0", "chr1_1")).unwrap()
    );
    calls.set(0);
    let gone = f.cache.look_up::<()>(&[key(3)], |_| {
        calls.set(calls.get() + 1);
        Err(gone())
    });
    assert_eq!((kind(gone), calls.get()), (ErrorKind::NotFound, 1), "nothing was moved");
}

#[test]
fn rows_of_many_shards_are_read_past_the_handles() {
    let f = Fixture::new();
    for block in 0..40 {
        f.write(block.into(), block * 5..block * 5 + 5);
    }
    let cache = EmbeddingCache::open(f.dir.path(), Options::default().open_shards(2)).unwrap();
    for window in (0..200).rev() {
        assert_eq!(cache.read(&key(window)).unwrap(), Some(record(window).embedding));
    }
    fs::remove_file(f.file(&f.cache.index.find_one(&key(7)).unwrap().unwrap().shard.path)).unwrap();
    for _ in 0..20 {
        assert_eq!(kind(cache.read(&key(7))), ErrorKind::NotFound);
    }
}
