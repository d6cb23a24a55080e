//! Taking on what the Python package wrote elsewhere.

use super::*;
use crate::ImportReport;

struct Theirs(TempDir);

impl Theirs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, path: &Key, bytes: impl AsRef<[u8]>) {
        let file = self.0.path().join(path.as_str());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut file = fs::File::create(file).unwrap();
        std::io::Write::write_all(&mut file, bytes.as_ref()).unwrap();
    }
}

fn figures(report: &ImportReport) -> (u64, u64, usize) {
    (report.shards, report.rows, report.problems.len())
}

#[test]
fn every_shard_is_taken_on_once_and_only_read() {
    let (theirs, f) = (Theirs::new(), Fixture::new());
    let mut rows = records(0..20);
    rows[3].key.dtype = Dtype::Fp16;
    rows[3].embedding = Embedding::from_f32(Dtype::Fp16, &[0.5]).unwrap();
    let files = [(legacy_path(9), &rows[..10]), (legacy_path(10), &rows[10..])];
    for (path, rows) in &files {
        theirs.put(path, python_shard(rows));
    }
    assert_eq!(figures(&f.cache.import_python(&theirs.0).unwrap()), (2, 20, 0));
    let shards = f.cache.shards().unwrap();
    assert_eq!(shards.iter().map(|info| info.rows).collect::<Vec<_>>(), [1, 10, 9]);
    assert!(shards.iter().all(|info| info.path.as_str().starts_with("embeddings/a__b/")));
    for row in &rows {
        let found = f.cache.read_record(&row.key).unwrap().unwrap();
        assert_eq!((found.embedding, found.end_bp), (row.embedding.clone(), row.end_bp));
    }
    for (path, rows) in &files {
        assert_eq!(fs::read(theirs.0.path().join(path.as_str())).unwrap(), python_shard(rows));
    }
    assert_eq!(fs::read_dir(&theirs.0).unwrap().count(), 1, "nothing is made there");
    assert_eq!(figures(&f.cache.import_python(&theirs.0).unwrap()), (2, 0, 0));
    assert_eq!(f.cache.shards().unwrap(), shards);
    assert!(f.cache.verify().unwrap().is_clean());
}

#[test]
fn what_a_killed_import_left_out_is_taken_on_the_next_time() {
    let (theirs, f) = (Theirs::new(), Fixture::new());
    let mut rows = records(0..10);
    rows[6..].iter_mut().for_each(|row| row.key.state_layer = 3);
    rows[6..].iter_mut().for_each(|row| row.key.encoder_hash = [6; 32]);
    theirs.put(&legacy_path(0), python_shard(&rows));
    // As where it came no further than the first of two shards.
    f.cache.write_shard("a__b", "1", 0, &rows[..6]).unwrap();
    assert_eq!(figures(&f.cache.import_python(&theirs.0).unwrap()), (1, 4, 0));
    assert!(
        rows.iter().all(|row| f.cache.read(&row.key).unwrap().as_ref() == Some(&row.embedding))
    );
}

#[test]
fn what_cannot_be_taken_on_whole_is_left_out_and_told() {
    let (theirs, f) = (Theirs::new(), Fixture::new());
    f.write(0, 50..51);
    let mut conflicting = records(48..53);
    conflicting[2].embedding = Embedding::Fp32(vec![9.0; 4]);
    theirs.put(&legacy_path(0), python_shard(&conflicting));
    let mut inexact = records(0..5);
    inexact[4].key.dtype = Dtype::Bf16;
    inexact[4].embedding = Embedding::Fp32(vec![1.0009766]);
    theirs.put(&legacy_path(1), python_shard(&inexact));
    theirs.put(&legacy_path(2), "PAR1 but no more");
    theirs.put(&Key::new("embeddings/strange.parquet").unwrap(), python_shard(&records(5..6)));
    let other = Fixture::new();
    let ours = other.write(3, 60..61);
    theirs.put(&legacy_path(3), fs::read(other.file(&ours)).unwrap());
    theirs.put(&legacy_path(4), python_shard(&records(70..75)));
    theirs.put(&Key::new("embeddings/.quarantine/bad.parquet").unwrap(), "bad");

    let report = f.cache.import_python(&theirs.0).unwrap();
    assert_eq!(figures(&report), (1, 5, 5));
    let told = |path: &Key| {
        report.problems.iter().find(|it| it.place == path.as_str()).unwrap().what.clone()
    };
    let words = ["other numbers", "no bf16", "Parquet", "Larder wrote it"];
    for (block, words) in (0..).zip(words) {
        assert!(told(&legacy_path(block)).contains(words), "{report:?}");
    }
    let keys: Vec<_> = (0..100).map(key).collect();
    let there = f.cache.contains_many(&keys).unwrap();
    let there: Vec<usize> = (0..100).filter(|window| there[*window]).collect();
    assert_eq!(there, [50, 70, 71, 72, 73, 74]);
}

#[test]
fn a_directory_without_a_cache_is_not_found_and_not_made() {
    let f = Fixture::new();
    let dir = f.dir.path().join("none");
    assert_eq!(kind(f.cache.import_python(&dir)), ErrorKind::NotFound);
    assert!(!dir.exists());
}
