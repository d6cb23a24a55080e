use super::*;

/// A store with one array of 1,000 bytes, not in memory.
fn damaged(edit: impl Fn(&Path)) -> (TempDir, ArrayStore) {
    let (dir, store) = fresh(0);
    store.insert("a", Array1::from_elem(1000, 1_u8)).unwrap();
    edit(dir.path());
    (dir, store)
}

fn patch(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

fn kinds(store: &ArrayStore) -> (Option<ErrorKind>, Option<ErrorKind>) {
    let array = store.get::<u8>("a");
    let read =
        array.as_ref().ok().and_then(|array| array.as_ref()).map(|array| array.read().map(drop));
    (
        array.as_ref().err().map(|error| error.kind()),
        read.and_then(|read| read.err().map(|error| error.kind())),
    )
}

#[test]
fn bit_rot_is_found_on_load_and_by_verify() {
    let (_dir, store) = damaged(|dir| patch(&dir.join("a.npy"), 700, &[3]));
    assert_eq!(kinds(&store), (None, Some(ErrorKind::Corrupt)));
    let report = store.verify().unwrap();
    assert_eq!((report.arrays, report.problems.len()), (0, 1));
    assert_eq!(report.problems[0].place, "a");
    assert!(report.problems[0].what.contains("checksum"), "{:?}", report.problems);
    assert_eq!(store.insert("a", arr1(&[1_u8])).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.budget().resident(), 0);
}

#[test]
fn cut_foreign_and_future_files_are_told_apart() {
    type Damage = fn(&Path);
    let cases: [(Damage, ErrorKind); 9] = [
        (
            |dir| {
                OpenOptions::new()
                    .write(true)
                    .open(dir.join("a.npy"))
                    .unwrap()
                    .set_len(900)
                    .unwrap()
            },
            ErrorKind::Corrupt,
        ),
        (|dir| write(&dir.join("a.npy"), b""), ErrorKind::Corrupt),
        (|dir| write(&dir.join("a.npy"), b"PK\x03\x04"), ErrorKind::Format),
        (|dir| patch(&dir.join("a.npy"), 6, &[9]), ErrorKind::Format),
        (|dir| patch(&dir.join("a.npy"), 20, b"'|O' ,"), ErrorKind::Unsupported),
        (|dir| write(&dir.join("a.npy"), &seed_array()), ErrorKind::Corrupt),
        (|dir| write(&dir.join("a.meta.json"), b"{"), ErrorKind::Corrupt),
        (|dir| write(&dir.join("a.meta.json"), SEED_SIDECAR.as_bytes()), ErrorKind::Corrupt),
        (|dir| write(&dir.join("a.meta.json"), b"{\"schema_version\": 7}"), ErrorKind::Format),
    ];
    for (at, (damage, expected)) in cases.into_iter().enumerate() {
        let (dir, store) = damaged(damage);
        let before = fs::read(dir.path().join("a.npy")).unwrap();
        assert_eq!(kinds(&store), (Some(expected), None), "case {at}");
        assert_eq!(store.info("a").unwrap_err().kind(), expected, "case {at}");
        assert_eq!(store.verify().unwrap().problems.len(), 1, "case {at}");
        assert_eq!(fs::read(dir.path().join("a.npy")).unwrap(), before);
        assert!(store.remove("a").unwrap());
    }
}

#[test]
fn a_file_cut_while_in_use_is_an_error() {
    let (dir, store) = fresh(0);
    let array = store.insert("a", Array1::from_elem(1000, 1_u8)).unwrap();
    let file = dir.path().join("a.npy");
    OpenOptions::new().write(true).open(file).unwrap().set_len(500).unwrap();
    assert_eq!(array.rows(900..1000).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(array.write().unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.budget().resident(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_damaged_scratch_file_is_told() {
    let (dir, store) = fresh(1 << 20);
    let array = store.insert("a", Array1::from_elem(1000, 1_u8)).unwrap();
    array.write().unwrap()[[0]] = 2;
    assert!(array.offload().unwrap());
    let spilled = unnamed(dir.path());
    assert_eq!(spilled.len(), 1);
    patch(&spilled[0], 5, &[9]);
    assert_eq!(array.read().unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(array.dirty() && array.offloaded());
}

#[cfg(unix)]
#[test]
fn a_planted_link_is_refused_and_nothing_outside_touched() {
    let outside = tempfile::tempdir().unwrap();
    write(&outside.path().join("secret.npy"), &seed_array());
    let (dir, store) = fresh(0);
    std::os::unix::fs::symlink(outside.path().join("secret.npy"), dir.path().join("a.npy"))
        .unwrap();
    write(&dir.path().join("a.meta.json"), SEED_SIDECAR.as_bytes());
    assert_eq!(store.get::<i16>("a").unwrap_err().kind(), ErrorKind::Invalid);
    assert!(store.insert("a", arr1(&[1_u8])).is_err());
    assert_eq!(fs::read(outside.path().join("secret.npy")).unwrap(), seed_array());
}

#[test]
fn what_is_damaged_is_moved_aside_and_nothing_else() {
    let (dir, store) = fresh(0);
    for key in ["a/sound", "a/damaged", "later"] {
        store.insert(key, Array1::from_elem(1000, 1_u8)).unwrap();
    }
    patch(&dir.path().join("a/damaged.npy"), 500, &[9]);
    let later = dir.path().join("later.meta.json");
    let sidecar = fs::read_to_string(&later).unwrap();
    write(&later, sidecar.replace("\"schema_version\": 1", "\"schema_version\": 2").as_bytes());
    let damaged = fs::read(dir.path().join("a/damaged.npy")).unwrap();
    assert_eq!(store.repair().unwrap(), ["a/damaged"]);
    let aside = dir.path().join(".larder/damaged/0/a");
    assert_eq!(fs::read(aside.join("damaged.npy")).unwrap(), damaged);
    assert!(aside.join("damaged.meta.json").exists());
    assert_eq!(store.repair().unwrap(), [""; 0]);
    store.insert("a/damaged", Array1::from_elem(1000, 2_u8)).unwrap();
    assert_eq!(store.len().unwrap(), 3);
    patch(&dir.path().join("a/damaged.npy"), 500, &[9]);
    assert_eq!(store.repair().unwrap(), ["a/damaged"]);
    assert!(dir.path().join(".larder/damaged/1/a/damaged.npy").exists());
    let (_, remote) = in_memory(0);
    assert_eq!(remote.repair().unwrap_err().kind(), ErrorKind::Unsupported);
}
