//! Archives that are what their manifests say and not what this crate makes.

use larder_storage::Digest;
use tar::{Builder, EntryType, Header};

use super::*;
use crate::remote::unpack::unpack;

/// An entry of an archive: kind, name, target, content.
type Odd = (EntryType, &'static str, &'static str, &'static [u8]);

const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Symlink;

fn pack(entries: &[Odd]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (kind, name, target, data) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        archive.append(&header, *data).unwrap();
    }
    archive.into_inner().unwrap()
}

fn hostile() -> Vec<(&'static str, Vec<Odd>)> {
    vec![
        ("an absolute name", vec![(FILE, "/larder-hostile", "", b"x")]),
        ("a name above", vec![(FILE, "../outside", "", b"x")]),
        ("a name around", vec![(DIR, "d", "", b""), (FILE, "d/../../outside", "", b"x")]),
        ("an empty name", vec![(FILE, "", "", b"x")]),
        ("the root itself", vec![(DIR, "./", "", b"")]),
        ("no directory for it", vec![(FILE, "d/f", "", b"x")]),
        ("a link out", vec![(LINK, "l", "/etc/passwd", b"")]),
        ("a link up", vec![(LINK, "l", "../outside", b"")]),
        ("a link to nothing", vec![(LINK, "l", "", b"")]),
        ("a link around", vec![(DIR, "d", "", b""), (LINK, "d/l", "d/../../..", b"")]),
        (
            "through a link",
            vec![(DIR, "d", "", b""), (LINK, "l", "d", b""), (FILE, "l/f", "", b"x")],
        ),
        ("over a link", vec![(LINK, "l", "f", b""), (FILE, "l", "", b"x")]),
        ("a file twice", vec![(FILE, "f", "", b"x"), (FILE, "f", "", b"y")]),
        ("a directory twice", vec![(DIR, "d", "", b""), (DIR, "d", "", b"")]),
        ("a file as a directory", vec![(FILE, "f", "", b"x"), (FILE, "f/g", "", b"y")]),
        ("a hard link", vec![(FILE, "f", "", b"x"), (EntryType::Link, "g", "f", b"")]),
        ("a hard link out", vec![(EntryType::Link, "g", "/etc/passwd", b"")]),
        ("a device", vec![(EntryType::Char, "null", "", b"")]),
        ("a pipe", vec![(EntryType::Fifo, "pipe", "", b"")]),
        ("a sparse file", vec![(EntryType::GNUSparse, "s", "", b"x")]),
        (
            "an extension",
            vec![(EntryType::XHeader, "x", "", b"11 path=/x\n"), (FILE, "f", "", b"x")],
        ),
        ("metadata", vec![(FILE, ".cache_meta", "", b"{}")]),
        ("metadata below", vec![(DIR, "d", "", b""), (FILE, "d/.cache_meta.1.2.tmp", "", b"{}")]),
        ("an unknown kind", vec![(EntryType::new(b'Z'), "z", "", b"")]),
        ("an endless name", vec![(EntryType::GNULongName, "n", "", &[b'n'; 70_000])]),
        (
            "a long name out",
            vec![(EntryType::GNULongName, "n", "", b"../outside\0"), (FILE, "f", "", b"x")],
        ),
    ]
}

#[test]
fn an_archive_writes_nothing_outside_its_directory() {
    for (what, entries) in hostile() {
        let around = tempfile::tempdir().unwrap();
        let stage = around.path().join("stage");
        fs::create_dir(&stage).unwrap();
        let unpacked = unpack(&pack(&entries)[..], &stage);
        assert_eq!(unpacked.unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
        assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1, "{what}");
    }
    assert!(!Path::new("/larder-hostile").exists());
}

#[test]
fn more_than_a_header_says_or_less_is_refused() {
    let good = pack(&[(FILE, "f", "", &[7; 2000])]);
    for cut in [100, 512, 513, 1024, 2000, 2511] {
        let dir = tempfile::tempdir().unwrap();
        let unpacked = unpack(&good[..cut], dir.path());
        assert_eq!(unpacked.unwrap_err().kind(), ErrorKind::Corrupt, "cut at {cut}");
    }
    // A size that no object has.
    let mut huge = good.clone();
    let header = Header::from_byte_slice(&good[..512]);
    let mut header = header.clone();
    header.set_size(u64::MAX);
    header.set_cksum();
    huge[..512].copy_from_slice(header.as_bytes());
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(unpack(&huge[..], dir.path()).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_hostile_archive_under_an_honest_manifest_is_replaced() {
    for (what, entries) in hostile() {
        let storage = MemoryStorage::new();
        let bytes = pack(&entries);
        let digest = Digest::of(&bytes);
        let listing = Digest::of(b"").to_string();
        let manifest = serde_json::json!({
            "format": 1, "archive": digest.to_string(), "length": bytes.len(), "files": 0,
            "listing": listing, "size": 0, "built_at_ns": 0, "build_cost_ns": null,
        });
        storage.put(&archive_at(&key(), &digest).unwrap(), bytes.into(), PutIf::Always).unwrap();
        storage.put_json(&manifest_at(&key()).unwrap(), &manifest, PutIf::Always).unwrap();
        let root = Root::new(storage.clone());
        assert!(root.build(2).built(), "{what}");
        assert_eq!(root.told(), [ErrorKind::Corrupt], "{what}");
        let names: Vec<_> =
            fs::read_dir(root.dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "{what}: {names:?}");
        assert_eq!(number(Root::new(storage).cache.get(KEY).unwrap().unwrap().path()), 2);
    }
}
