//! One suite of what is published, on every storage.

use std::{fs, sync::Arc};

use larder::lazy_array::{
    ArrayStore, DType, MemoryBudget, Options,
    ndarray::{ArrayD, Axis, IxDyn, arr0, arr1},
};
use larder_storage::{
    Durability, ErrorKind, Key, LocalStorage, MemoryStorage, PutIf, Storage, StorageExt,
};
use tempfile::TempDir;

use super::changes::{COLUMNS, content, edit, number_of};
use crate::servers::on_each_server;

/// A storage, on which each check has keys of its own, and where arrays are spilled.
struct Place {
    storage: Arc<dyn Storage>,
    scratch: TempDir,
}

impl Place {
    fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, scratch: tempfile::tempdir().unwrap() }
    }

    /// A store as another process would open it.
    fn open(&self) -> ArrayStore {
        let options = Options::default().budget(MemoryBudget::bytes(1 << 20));
        ArrayStore::on(Arc::clone(&self.storage), options.scratch(self.scratch.path())).unwrap()
    }

    fn number(&self, key: &str) -> u32 {
        number_of(&self.open().get(key).unwrap().unwrap().read().unwrap(), 0)
    }
}

#[track_caller]
fn kind<T>(outcome: larder_storage::Result<T>) -> ErrorKind {
    outcome.err().expect("an error").kind()
}

const SUITE: [fn(&Place); 8] = [
    what_is_inserted_is_found,
    odd_shapes_come_back,
    a_taken_key_is_refused,
    what_is_missing_is_missing,
    rows_are_read_in_their_place,
    rows_are_written_one_after_the_other,
    edits_are_published_and_stale_ones_refused,
    what_is_removed_is_gone,
];

/// Those that change what others list.
const ALONE: [fn(&Place); 2] = [files_go_in_and_out, damage_is_named];

fn suite(storage: impl Fn(&str) -> Arc<dyn Storage>) {
    let shared = Place::new(storage("shared"));
    SUITE.iter().for_each(|check| check(&shared));
    assert_eq!(shared.open().verify().unwrap().problems, []);
    for (at, check) in ALONE.iter().enumerate() {
        check(&Place::new(storage(&format!("alone-{at}"))));
    }
}

#[test]
fn memory_passes_the_suite() {
    suite(|_| Arc::new(MemoryStorage::new()));
}

#[test]
fn a_directory_passes_the_suite() {
    let dir = tempfile::tempdir().unwrap();
    suite(|name| Arc::new(LocalStorage::open(dir.path().join(name), Durability::Process).unwrap()));
}

#[test]
fn real_servers_pass_the_suite() {
    on_each_server("the suite of arrays", |server| {
        server.open("arrays");
        suite(|name| server.reopen(&format!("arrays/{name}")));
    });
}

fn what_is_inserted_is_found(place: &Place) {
    let store = place.open();
    let array = store.insert("found/c", content("c", 7, 20)).unwrap();
    store.insert("found/f", content("turned", 8, 20)).unwrap();
    assert_eq!(number_of(&array.read().unwrap(), 0), 7);
    assert_eq!((place.number("found/c"), place.number("found/f")), (7, 8));
    let other = place.open();
    for (key, is_turned) in [("found/c", false), ("found/f", true)] {
        let info = other.info(key).unwrap().unwrap();
        assert_eq!((&info.shape[..], info.dtype), (&[20, COLUMNS][..], DType::U64));
        assert_eq!((info.bytes, info.fortran_order), ((20 * COLUMNS * 8) as u64, is_turned));
        assert!(other.contains(key).unwrap());
        assert!(other.keys().unwrap().contains(&Key::new(key).unwrap()));
        assert_eq!(kind(other.get::<f32>(key)), ErrorKind::Invalid);
    }
}

fn odd_shapes_come_back(place: &Place) {
    let store = place.open();
    store.insert("odd/scalar", arr0(1.5_f32)).unwrap();
    store.insert("odd/empty", ArrayD::<f32>::zeros(IxDyn(&[0, 3]))).unwrap();
    let other = place.open();
    let scalar = other.get::<f32>("odd/scalar").unwrap().unwrap();
    assert_eq!(*scalar.read().unwrap(), *arr0(1.5).into_dyn());
    let empty = other.get::<f32>("odd/empty").unwrap().unwrap();
    assert_eq!(empty.read().unwrap().shape(), [0, 3]);
    assert_eq!(empty.rows(0..0).unwrap().shape(), [0, 3]);
}

fn a_taken_key_is_refused(place: &Place) {
    place.open().insert("taken", content("taken", 1, 2)).unwrap();
    let store = place.open();
    assert_eq!(kind(store.insert("taken", content("taken", 2, 2))), ErrorKind::Conflict);
    assert_eq!(kind(store.writer::<u64>("taken", &[2, 2])), ErrorKind::Conflict);
    let mut late = store.writer("late", &[1, COLUMNS]).unwrap();
    late.append(content("late", 2, 1).view()).unwrap();
    place.open().insert("late", content("late", 1, 2)).unwrap();
    assert_eq!(kind(late.finish()), ErrorKind::Conflict);
    assert_eq!((place.number("taken"), place.number("late")), (1, 1));
}

fn what_is_missing_is_missing(place: &Place) {
    let store = place.open();
    assert!(store.get::<u64>("missing").unwrap().is_none());
    assert!(store.info("missing").unwrap().is_none());
    assert!(!store.contains("missing").unwrap());
    assert!(!store.remove("missing").unwrap());
    let file = place.scratch.path().join("missing.npy");
    assert!(store.export_npy("missing", &file).unwrap().is_none());
    assert!(!file.exists());
    assert_eq!(kind(store.get::<u64>("../missing")), ErrorKind::Invalid);
}

fn rows_are_read_in_their_place(place: &Place) {
    for key in ["rows", "turned"] {
        place.open().insert(key, content(key, 3, 50)).unwrap();
        let array = place.open().get::<u64>(key).unwrap().unwrap();
        for rows in [0..50, 7..8, 13..29, 49..50] {
            let found = array.rows(rows.clone()).unwrap();
            assert_eq!(found.shape(), [rows.len(), COLUMNS]);
            assert_eq!(number_of(&found, rows.start), 3);
        }
        assert_eq!(array.rows(50..50).unwrap().shape(), [0, COLUMNS]);
        assert_eq!(kind(array.rows(49..51)), ErrorKind::Invalid);
        let mut chunks = array.chunks(20).unwrap();
        for (first, len) in [(0, 20), (20, 20), (40, 10)] {
            let chunk = chunks.next().unwrap().unwrap();
            assert_eq!((chunk.shape()[0], number_of(&chunk, first)), (len, 3));
        }
        assert!(chunks.next().is_none());
        assert!(array.offloaded(), "nothing was loaded");
    }
}

fn rows_are_written_one_after_the_other(place: &Place) {
    // More than one part of an upload.
    const ROWS: usize = 20_000;
    let (store, content) = (place.open(), content("written", 5, ROWS));
    let mut writer = store.writer("written", &[ROWS, COLUMNS]).unwrap();
    for chunk in content.axis_chunks_iter(Axis(0), 9000) {
        assert!(!place.open().contains("written").unwrap());
        writer.append(chunk).unwrap();
    }
    assert_eq!(kind(writer.append(content.view())), ErrorKind::Invalid);
    let array = writer.finish().unwrap();
    assert_eq!((number_of(&array.rows(0..ROWS).unwrap(), 0), place.number("written")), (5, 5));
    let mut short = store.writer("short", &[2, COLUMNS]).unwrap();
    short.append(content.slice_axis(Axis(0), (0..1).into())).unwrap();
    assert_eq!(kind(short.finish()), ErrorKind::Invalid);
    drop(store.writer::<u64>("dropped", &[1]).unwrap());
    for key in ["short", "dropped"] {
        assert!(!place.open().contains(key).unwrap());
    }
}

fn edits_are_published_and_stale_ones_refused(place: &Place) {
    let store = place.open();
    let array = store.insert("edited", content("edited", 1, 20)).unwrap();
    let stale = place.open().get::<u64>("edited").unwrap().unwrap();
    edit(&stale, 9).unwrap();
    for number in [2, 3] {
        edit(&array, number).unwrap();
        assert_eq!((array.dirty(), place.number("edited")), (true, number - 1));
        assert!(array.offload().unwrap());
        array.flush().unwrap();
        assert_eq!((array.dirty(), place.number("edited")), (false, number));
    }
    assert_eq!(kind(stale.flush()), ErrorKind::Conflict);
    assert_eq!(number_of(&stale.read().unwrap(), 0), 9, "the edits are kept");
    assert_eq!(place.number("edited"), 3);
}

fn what_is_removed_is_gone(place: &Place) {
    let store = place.open();
    let array = store.insert("removed", content("removed", 1, 2)).unwrap();
    edit(&array, 2).unwrap();
    assert!(place.open().remove("removed").unwrap());
    assert!(!store.contains("removed").unwrap());
    assert_eq!(kind(array.flush()), ErrorKind::NotFound);
    assert!(!store.keys().unwrap().contains(&Key::new("removed").unwrap()));
    store.insert("removed", content("removed", 3, 4)).unwrap();
    assert_eq!(place.number("removed"), 3);
}

fn files_go_in_and_out(place: &Place) {
    let store = place.open();
    let file = |name: &str| place.scratch.path().join(name);
    store.insert("turned", content("turned", 1, 20)).unwrap();
    let out = store.export_npy("turned", file("out.npy")).unwrap().unwrap();
    let info = store.import_npy("again", file("out.npy")).unwrap();
    assert_eq!((&info, place.number("again")), (&out, 1));
    assert!(info.fortran_order);
    store.export_npy("again", file("again.npy")).unwrap();
    let bytes = |name| fs::read(file(name)).unwrap();
    assert_eq!(bytes("out.npy"), bytes("again.npy"));
    let taken = store.import_npy("again", file("out.npy"));
    assert_eq!(kind(taken), ErrorKind::Conflict);
    fs::write(file("text.npy"), "text").unwrap();
    assert_eq!(kind(store.import_npy("text", file("text.npy"))), ErrorKind::Format);
    let keys: Vec<_> = place.open().keys().unwrap().iter().map(Key::to_string).collect();
    assert_eq!(keys, ["again", "turned"]);
}

fn damage_is_named(place: &Place) {
    let (store, storage) = (place.open(), &place.storage);
    for key in ["half", "rotten", "whole"] {
        store.insert(key, arr1(&[1_u8; 100])).unwrap();
    }
    assert!(storage.remove(&Key::new("half.npy").unwrap()).unwrap());
    let rotten = Key::new("rotten.npy").unwrap();
    let mut bytes = storage.get(&rotten).unwrap().unwrap().into_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    storage.put(&rotten, bytes.into(), PutIf::Always).unwrap();
    let other = place.open();
    let report = other.verify().unwrap();
    let places: Vec<_> = report.problems.iter().map(|problem| &*problem.place).collect();
    assert_eq!(
        (report.arrays, &places[..], &report.incomplete[..]),
        (1, &["rotten"][..], &["half".to_owned()][..])
    );
    let read = other.get::<u8>("rotten").unwrap().unwrap().read();
    assert_eq!(kind(read), ErrorKind::Corrupt);
    assert!(other.get::<u8>("half").unwrap().is_none());
    assert!(other.remove("rotten").unwrap() && !other.remove("half").unwrap());
    assert!(storage.head(&Key::new("half.meta.json").unwrap()).unwrap().is_none());
    assert_eq!(other.verify().unwrap().incomplete, [] as [String; 0]);
}

#[test]
fn rows_of_an_open_array_on_a_server_are_one_ranged_request() {
    on_each_server("requests for rows", |server| {
        let (proxy, storage) = server.behind_proxy("rows");
        let place = Place::new(storage);
        place.open().insert("a", content("a", 4, 1000)).unwrap();
        let array = place.open().get::<u64>("a").unwrap().unwrap();
        array.rows(0..1).unwrap();
        for (rows, words) in [(500..516, &[][..]), (999..1000, &["GET", "range: bytes="])] {
            proxy.take_count(&[]);
            let found = array.rows(rows.clone()).unwrap();
            assert_eq!(proxy.take_count(words), 1, "requests to {}", server.name());
            assert_eq!(number_of(&found, rows.start), 4);
        }
    });
}
