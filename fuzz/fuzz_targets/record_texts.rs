//! Other texts in the place of a record on the storage: each is refused, or it is a record, and whatever it says, its
//! payload is none other than the one that was stored, and the result can be had. An input of a first odd byte gets the
//! checksum that its text should have.
#![no_main]

use std::sync::{LazyLock, Mutex};

use larder_fuzz::{DAMAGE, allow};
use larder_provenance::{GcOptions, Options, Provenance, ProvenanceStore, Relative};
use larder_storage::{
    Digest, Durability, ErrorKind, Key, LocalStorage, PutIf, Result, Storage, crc32c,
};
use libfuzzer_sys::fuzz_target;

const PAYLOAD: &[u8] = b"payload";

struct Fixture {
    store: ProvenanceStore<Vec<u8>>,
    storage: LocalStorage,
    /// Where the record lies.
    place: Key,
}

static FIXTURE: LazyLock<Mutex<Fixture>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap().keep();
    let options = Options::default().durability(Durability::Scratch);
    let store = ProvenanceStore::open(&dir, options).unwrap();
    store.put(PAYLOAD.to_vec(), Some(provenance())).unwrap();
    let storage = LocalStorage::open(&dir, Durability::Scratch).unwrap();
    let records = Key::new("records").unwrap();
    let place = storage.keys(Some(&records)).unwrap().next().unwrap().unwrap();
    Mutex::new(Fixture { store, storage, place })
});

fn provenance() -> Provenance {
    Provenance::new("op").input(Digest::of(b"in")).param("n", 1)
}

fuzz_target!(|data: &[u8]| {
    let Fixture { store, storage, place } = &*FIXTURE.lock().unwrap();
    let Some((fix, text)) = data.split_first() else { return };
    let text = if fix % 2 == 1 { with_checksum(text) } else { text.to_vec() };
    storage.put(place, text.into(), PutIf::Always).unwrap();
    let problems = store.reindex().unwrap().problems.len();
    let records = store.records().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(records.len() + problems, 1);
    allow(store.verify(), &[]);
    allow(store.status(), &[ErrorKind::Corrupt]);
    allow(store.explain_miss(&provenance()), DAMAGE);
    for record in &records {
        let kinds = [DAMAGE, &[ErrorKind::Invalid]].concat();
        if let Some(Some(stored)) = allow(store.get(record.id), &kinds) {
            assert_eq!(stored.payload, PAYLOAD);
        }
        store.ancestors(record.id).collect::<Result<Vec<Relative>>>().unwrap();
        store.lineage(record.id).unwrap();
        store.would_invalidate(record.id).unwrap();
    }
    store.gc(&GcOptions::default().max_bytes(0).dry_run(true)).unwrap();
    // One of the future is not replaced.
    let outcome = store.get_or_compute(&provenance(), || Ok(PAYLOAD.to_vec()));
    if let Some(outcome) = allow(outcome, &[ErrorKind::Format]) {
        assert_eq!(outcome.payload, PAYLOAD);
    }
    for record in store.records() {
        store.delete(record.unwrap().id).unwrap();
    }
});

/// The text with the right checksum in the place of its closing brace, as a record has it.
fn with_checksum(text: &[u8]) -> Vec<u8> {
    let sum = format!(",\"checksum\":\"{:08x}\"}}", crc32c(text));
    [text.strip_suffix(b"}").unwrap_or(text), sum.as_bytes()].concat()
}
