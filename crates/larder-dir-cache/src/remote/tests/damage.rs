use larder_storage::Object;

use super::*;

/// A storage with an entry that has been built once, and its archive.
fn published() -> (MemoryStorage, Key, Vec<u8>) {
    published_by(|stage| fill(stage, 1))
}

fn published_by(build: fn(&Path) -> Result<()>) -> (MemoryStorage, Key, Vec<u8>) {
    let storage = MemoryStorage::new();
    drop(Root::new(storage.clone()).cache.get_or_build(KEY, build).unwrap());
    let at = archive(&storage);
    let bytes = storage.get(&at).unwrap().unwrap().into_bytes().into();
    (storage, at, bytes)
}

fn put(storage: &MemoryStorage, at: &Key, bytes: &[u8]) {
    storage.put(at, bytes.to_vec().into(), PutIf::Always).unwrap();
}

fn unpack(remote: &Remote, found: &Object, dir: &Path) -> Result<()> {
    remote.unpack(&key(), &Remote::parse(&key(), found)?, dir)
}

/// The kind of what one look comes to.
fn look(storage: &MemoryStorage) -> ErrorKind {
    let remote = Remote::new(Arc::new(storage.clone())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let found = remote.find(&key()).unwrap().unwrap();
    unpack(&remote, &found, dir.path()).unwrap_err().kind()
}

#[test]
fn no_byte_of_an_archive_can_change_or_go_unseen() {
    let (storage, at, bytes) = published_by(|stage| symlink("f", stage.join("l")).map_err(failed));
    for n in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[n] ^= 1 << (n % 8);
        put(&storage, &at, &changed);
        assert_eq!(look(&storage), ErrorKind::Corrupt, "byte {n}");
        put(&storage, &at, &bytes[..n]);
        assert_eq!(look(&storage), ErrorKind::Corrupt, "cut at {n}");
    }
    put(&storage, &at, &[&bytes[..], b"\0"].concat());
    assert_eq!(look(&storage), ErrorKind::Corrupt);
}

#[test]
fn a_damaged_archive_is_told_built_again_and_replaced() {
    let (_, _, bytes) = published();
    for n in (0..bytes.len()).step_by(331) {
        let mut changed = bytes.clone();
        changed[n] ^= 0x20;
        for damaged in [&changed, &bytes[..n]] {
            let (storage, at, _) = published();
            put(&storage, &at, damaged);
            let (a, b) = (Root::new(storage.clone()), Root::new(storage.clone()));
            assert!(a.cache.get(KEY).unwrap().is_none());
            let lease = a.build(2);
            assert!(lease.built() && number(lease.path()) == 2);
            assert_eq!(a.told(), [ErrorKind::Corrupt; 2]);
            assert_eq!(number(b.cache.get(KEY).unwrap().unwrap().path()), 2);
            assert_eq!((b.told(), objects(&storage).len()), (vec![], 2));
        }
    }
}

#[test]
fn an_equal_build_mends_an_archive_under_its_name() {
    let (storage, at, bytes) = published();
    put(&storage, &at, b"");
    let root = Root::new(storage.clone());
    assert!(root.build(1).built());
    assert!(storage.get(&at).unwrap().unwrap().bytes() == &bytes[..]);
    assert!(Root::new(storage).cache.get(KEY).unwrap().is_some());
}

#[test]
fn a_missing_half_is_a_miss() {
    for half in ["archive", "manifest"] {
        let (storage, at, _) = published();
        let gone = if half == "archive" { at } else { manifest_at(&key()).unwrap() };
        assert!(storage.remove(&gone).unwrap());
        let root = Root::new(storage.clone());
        assert!(root.cache.get(KEY).unwrap().is_none());
        assert!(root.build(2).built());
        let told = if half == "archive" { vec![ErrorKind::Corrupt; 2] } else { vec![] };
        assert_eq!(root.told(), told);
        assert_eq!(number(Root::new(storage).cache.get(KEY).unwrap().unwrap().path()), 2);
    }
}

#[test]
fn a_changed_manifest_never_gives_a_wrong_file() {
    let (storage, _, _) = published();
    let at = manifest_at(&key()).unwrap();
    let bytes = storage.get(&at).unwrap().unwrap().into_bytes();
    let remote = Remote::new(Arc::new(storage.clone())).unwrap();
    for n in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[n] ^= 1;
        for text in [&changed, &bytes[..n]] {
            put(&storage, &at, text);
            let dir = tempfile::tempdir().unwrap();
            let found = remote.find(&key()).unwrap().unwrap();
            match unpack(&remote, &found, dir.path()) {
                // What only tells of the entry.
                Ok(_) => assert_eq!(number(dir.path()), 1),
                Err(error) => {
                    let kind = error.kind();
                    assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::Format), "{error:?}");
                }
            }
        }
    }
}

#[test]
fn a_newer_manifest_is_told_and_left_alone() {
    let (storage, _, _) = published();
    let at = manifest_at(&key()).unwrap();
    put(&storage, &at, br#"{"format": 2, "shape": "other"}"#);
    let root = Root::new(storage.clone());
    assert!(root.cache.get(KEY).unwrap().is_none());
    assert!(root.build(2).built());
    assert_eq!(root.told(), [ErrorKind::Format; 2]);
    assert_eq!(manifest(&storage)["format"], 2);
}
