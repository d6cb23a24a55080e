//! The rows of the records with other values in them: a record is refused, or has the payload that was stored.
#![no_main]

use std::sync::{LazyLock, Mutex};

use larder_fuzz::{DAMAGE, Rows, allow, changes};
use larder_provenance::{Id, Options, Provenance, ProvenanceStore};
use larder_storage::{Digest, Durability, ErrorKind, crc32c_append};
use libfuzzer_sys::fuzz_target;
use rusqlite::types::ValueRef;

const COLUMNS: &[&str] = &[
    "records.summary",
    "records.provenance",
    "records.payload",
    "records.payload_len",
    "records.key",
    "records.kind",
    "records.version",
    "records.created_at",
    "records.checksum",
    "records.id",
    "records.state",
    "records.stored_at",
    "records.operation",
    "records.cost",
    "edges.child",
    "edges.position",
    "edges.role",
    "edges.parent",
    "edges.content",
];

const PAYLOAD: &[u8] = b"payload";

static FIXTURE: LazyLock<(ProvenanceStore<Vec<u8>>, Id, Mutex<Rows>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap().keep();
    let options = Options::default().durability(Durability::Scratch);
    let store = ProvenanceStore::open(&dir, options).unwrap();
    let id = store.put(PAYLOAD.to_vec(), Some(provenance())).unwrap();
    let rows = Rows::open(&dir.join(".larder/provenance.sqlite"), COLUMNS);
    (store, id, Mutex::new(rows))
});

fn provenance() -> Provenance {
    Provenance::new("op").input(Digest::of(b"in")).param("n", 1)
}

fuzz_target!(|data: &[u8]| {
    let (store, id, rows) = &*FIXTURE;
    let rows = rows.lock().unwrap();
    // The first byte says whether the checksum is made right.
    let Some((fix, data)) = data.split_first() else { return };
    if !rows.change(&changes(data)) {
        return;
    }
    if fix % 2 == 1 {
        rows.execute("UPDATE records SET checksum = ?1", &[&checksum(&rows)]);
    }
    let kinds = [DAMAGE, &[ErrorKind::Invalid]].concat();
    if let Some(Some(stored)) = allow(store.get(*id), &kinds) {
        assert_eq!(stored.payload, PAYLOAD);
    }
    allow(store.find(&provenance()), DAMAGE);
    store.list().take(4).for_each(|record| _ = allow(record, DAMAGE));
    allow(store.len(), &[ErrorKind::Corrupt]);
    allow(store.status(), &[ErrorKind::Corrupt]);
    allow(store.verify(), &[]);
    rows.restore();
    assert_eq!(store.get(*id).unwrap().expect("it was stored").payload, PAYLOAD);
});

/// The checksum as it is documented, over the columns as they are.
fn checksum(rows: &Rows) -> u32 {
    let columns = "id, version, created_at, payload, payload_len, kind, key, provenance, summary";
    let sum = |row: &rusqlite::Row<'_>| {
        (0..9).try_fold(0, |sum, column| {
            let value = row.get_ref(column)?;
            let bytes = value.as_bytes_or_null().ok().flatten().unwrap_or_default();
            Ok(match (column, value) {
                (1, ValueRef::Integer(version)) => {
                    crc32c_append(sum, &(version as u32).to_le_bytes())
                }
                (_, ValueRef::Integer(number)) => crc32c_append(sum, &number.to_le_bytes()),
                (5.., _) => {
                    crc32c_append(crc32c_append(sum, &(bytes.len() as u64).to_le_bytes()), bytes)
                }
                _ => crc32c_append(sum, bytes),
            })
        })
    };
    rows.db().query_row(&format!("SELECT {columns} FROM records"), [], sum).unwrap()
}
