//! A file in the place of a database: the store opens or refuses it, answers or refuses each question, and never
//! replaces, empties or removes the file. The first byte of the input says whose database it is.
//!
//! What is refused before it is taken over is not changed at all. A store that took a database over may write to it
//! before it meets damage deeper in it; every table stays then, unless the pages of one are those of another, too. Who
//! only asks a lookup cache changes no more than the header, for the write-ahead log.
#![no_main]

use std::{fs, path::Path};

use larder_dir_cache::DirCache;
use larder_embedding_shards::{Dtype, EmbeddingCache, PoolType, WindowKey};
use larder_fuzz::allow;
use larder_kv_cache::KvCache;
use larder_provenance::{Id, Provenance, ProvenanceStore};
use larder_storage::{Durability, ErrorKind, Result};
use libfuzzer_sys::fuzz_target;
use rusqlite::{Connection, OpenFlags, types::Value};

const KINDS: &[ErrorKind] = &[ErrorKind::Corrupt, ErrorKind::Format];

/// The length of a database's header, in bytes.
const HEADER: usize = 100;

const TABLES: &str = "SELECT name, sql FROM sqlite_schema";
const CHECK: &str = "SELECT quick_check, 1 FROM pragma_quick_check";

fuzz_target!(|data: &[u8]| {
    let Some((store, file)) = data.split_first() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (name, open): (&str, fn(&Path) -> Result<()>) = match store % 4 {
        0 => ("kv/n.sqlite", kv),
        1 => ("shards.sqlite", shards),
        2 => ("dirs.sqlite", dirs),
        _ => ("provenance.sqlite", records),
    };
    let path = dir.path().join(".larder").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, file).unwrap();
    let tables_before = query(&path, TABLES);
    let is_sound = query(&path, CHECK) == [[Value::from("ok".to_owned()), Value::from(1)]];
    let opened = allow(open(dir.path()), KINDS);
    let after = fs::read(&path).unwrap();
    let mark = path.with_extension("sqlite.init");
    let is_taken = fs::metadata(mark).is_ok_and(|mark| mark.len() > 0);
    assert!(is_taken || opened.is_none(), "the database was opened and not marked");
    assert!(is_taken || after == file, "a refused database was changed");
    assert!(!after.is_empty() || file.is_empty(), "the database was emptied");
    if is_taken && !tables_before.is_empty() {
        let tables = query(&path, TABLES);
        let all_there = tables_before.iter().all(|table| tables.contains(table));
        assert!(all_there || !is_sound, "a table is gone");
        let is_read_only = name.starts_with("kv/");
        assert!(!is_read_only || after[HEADER..] == file[HEADER..], "a question changed it");
    }
});

/// What SQLite answers from the file alone, which that does not change; nothing where it cannot.
fn query(path: &Path, sql: &str) -> Vec<[Value; 2]> {
    let read = || -> rusqlite::Result<Vec<_>> {
        let uri = format!("file:{}?immutable=1", path.display());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let db = Connection::open_with_flags(uri, flags)?;
        let mut query = db.prepare(sql)?;
        query.query_map([], |row| Ok([row.get(0)?, row.get(1)?]))?.collect()
    };
    read().unwrap_or_default()
}

fn kv(dir: &Path) -> Result<()> {
    let options = larder_kv_cache::Options::default().durability(Durability::Scratch);
    let cache = KvCache::open(dir, "n", options)?;
    allow(cache.get::<String>("k"), KINDS);
    allow(cache.keys(), KINDS);
    allow(cache.status(), KINDS);
    allow(cache.verify(), KINDS);
    Ok(())
}

fn shards(dir: &Path) -> Result<()> {
    let options = larder_embedding_shards::Options::default().durability(Durability::Scratch);
    let cache = EmbeddingCache::open(dir, options)?;
    let key = WindowKey {
        window_hash: [0; 32],
        encoder_hash: [0; 32],
        state_layer: 0,
        pool_type: PoolType::CenteredMean,
        pool_radius: 0,
        dtype: Dtype::Fp32,
    };
    allow(cache.read(&key), KINDS);
    allow(cache.status(), KINDS);
    allow(cache.verify(), KINDS);
    Ok(())
}

fn dirs(dir: &Path) -> Result<()> {
    let options =
        larder_dir_cache::Options::default().background(false).durability(Durability::Scratch);
    let cache = DirCache::open(dir, options)?;
    allow(cache.get("a"), KINDS);
    allow(cache.entries(), KINDS);
    allow(cache.snapshot(), KINDS);
    allow(cache.verify(), KINDS);
    Ok(())
}

fn records(dir: &Path) -> Result<()> {
    let options = larder_provenance::Options::default().durability(Durability::Scratch);
    let store = ProvenanceStore::<Vec<u8>>::open(dir, options)?;
    allow(store.get(Id::from_bytes([0; 16])), KINDS);
    store.records().take(4).for_each(|record| _ = allow(record, KINDS));
    allow(store.find(&Provenance::new("op")), KINDS);
    allow(store.tagged("t"), KINDS);
    allow(store.status(), KINDS);
    allow(store.verify(), KINDS);
    allow(store.reindex(), KINDS);
    Ok(())
}
