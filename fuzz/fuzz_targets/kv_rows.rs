//! The rows of a lookup cache with other values in them: a value is given only where its checksum is right, and it can
//! be stored again.
#![no_main]

use std::sync::{LazyLock, Mutex};

use larder_fuzz::{DAMAGE, Rows, allow, changes};
use larder_kv_cache::{KvCache, Lookup, Options};
use larder_storage::{Durability, ErrorKind, crc32c, crc32c_append};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const COLUMNS: &[&str] = &[
    "entry.value",
    "entry.crc32c",
    "entry.encoding",
    "entry.key",
    "entry.id",
    "entry.written_at",
    "entry.expires_at",
    "entry.is_tagged",
    "meta.value",
    "meta.name",
];

static FIXTURE: LazyLock<(KvCache, Mutex<Rows>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap().keep();
    let cache =
        // What is changed behind its back, it must not remember.
        KvCache::open(dir, "n", Options::default().durability(Durability::Scratch).memory(0))
            .unwrap();
    cache.set("k", &"value").unwrap();
    let rows = Rows::open(cache.path(), COLUMNS);
    (cache, Mutex::new(rows))
});

fuzz_target!(|data: &[u8]| {
    let (cache, rows) = &*FIXTURE;
    let rows = rows.lock().unwrap();
    // The first byte says whether the checksum is made right.
    let Some((fix, data)) = data.split_first() else { return };
    if !rows.change(&changes(data)) {
        return;
    }
    if fix % 2 == 1 {
        rows.execute("UPDATE entry SET crc32c = ?1", &[&checksum(&rows)]);
    }
    let found = allow(cache.get::<Value>("k"), DAMAGE);
    allow(cache.contains("k"), &[ErrorKind::Corrupt]);
    allow(cache.keys(), &[ErrorKind::Corrupt]);
    allow(cache.len(), &[ErrorKind::Corrupt]);
    allow(cache.status(), &[ErrorKind::Corrupt]);
    allow(cache.verify(), &[]);
    if let Some(Lookup::Hit(value)) = found {
        let stored: i64 =
            rows.db().query_row("SELECT crc32c FROM entry", [], |row| row.get(0)).unwrap();
        assert_eq!(stored, i64::from(checksum(&rows)));
        // No id is left where one has the last number.
        if allow(cache.set("k", &value), &[ErrorKind::Corrupt]).is_some() {
            assert_eq!(cache.get("k").unwrap(), Lookup::Hit(value));
        }
    }
    rows.restore();
    assert_eq!(cache.get::<String>("k").unwrap().hit().as_deref(), Some("value"));
});

fn checksum(rows: &Rows) -> u32 {
    let bytes = |column| {
        let sql = format!("SELECT {column} FROM entry");
        let read =
            |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_bytes().unwrap_or_default().to_vec());
        rows.db().query_row(&sql, [], read).unwrap()
    };
    let encoding: i64 = {
        let read = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_i64().unwrap_or(-1));
        rows.db().query_row("SELECT encoding FROM entry", [], read).unwrap()
    };
    let head = crc32c_append(crc32c(&bytes("key")), &encoding.to_le_bytes());
    crc32c_append(head, &bytes("value"))
}
