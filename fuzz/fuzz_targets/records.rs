//! The rows of the index of results with other values in them: a record is refused, or has the payload that was stored,
//! and is read again from the storage.
#![no_main]

use std::sync::{LazyLock, Mutex};

use larder_fuzz::{DAMAGE, Rows, allow, changes};
use larder_provenance::{Id, Options, Provenance, ProvenanceStore, Relative};
use larder_storage::{Digest, Durability, ErrorKind, Result};
use libfuzzer_sys::fuzz_target;

const COLUMNS: &[&str] = &[
    "records.record",
    "records.payload",
    "records.payload_len",
    "records.key",
    "records.kind",
    "records.state",
    "records.operation",
    "records.modified",
    "records.id",
    "edges.source",
    "edges.child",
    "tags.tag",
    "tags.id",
];

const PAYLOAD: &[u8] = b"payload";
const TAG: &str = "release";

static FIXTURE: LazyLock<(ProvenanceStore<Vec<u8>>, Id, Mutex<Rows>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap().keep();
    let options = Options::default().durability(Durability::Scratch);
    let store = ProvenanceStore::open(&dir, options).unwrap();
    let id = store.put(PAYLOAD.to_vec(), Some(provenance())).unwrap();
    store.tag(id, TAG).unwrap();
    let rows = Rows::open(&dir.join(".larder/provenance.sqlite"), COLUMNS);
    (store, id, Mutex::new(rows))
});

fn provenance() -> Provenance {
    Provenance::new("op").input(Digest::of(b"in")).param("n", 1)
}

fuzz_target!(|data: &[u8]| {
    let (store, id, rows) = &*FIXTURE;
    let rows = rows.lock().unwrap();
    if !rows.change(&changes(data)) {
        return;
    }
    // First, because it looks at the database anew: other questions may still be answered from what they saw before.
    allow(store.verify(), &[]);
    let kinds = [DAMAGE, &[ErrorKind::Invalid]].concat();
    if let Some(Some(stored)) = allow(store.get(*id), &kinds) {
        assert_eq!(stored.payload, PAYLOAD);
    }
    store.records().take(4).for_each(|record| _ = allow(record, DAMAGE));
    allow(store.tagged(TAG), DAMAGE);
    allow(store.descendants(*id).collect::<Result<Vec<Relative>>>(), DAMAGE);
    allow(store.len(), DAMAGE);
    allow(store.status(), DAMAGE);
    if let Some(Some(found)) = allow(store.find(&provenance()), DAMAGE) {
        assert_eq!(store.get(found).unwrap().expect("it was found").payload, PAYLOAD);
    }
    assert_eq!(store.reindex().unwrap().problems, []);
    let report = store.verify().unwrap();
    assert!(report.is_clean() && report.records == 1, "{report:?}");
    rows.restore();
    assert!(store.verify().unwrap().is_clean());
    assert_eq!(store.get(*id).unwrap().expect("it was stored").payload, PAYLOAD);
});
