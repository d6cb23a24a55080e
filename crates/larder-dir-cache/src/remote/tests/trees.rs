//! Any directory that can be packed comes back as it was.

use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;

use super::*;
use crate::Measure;
use crate::{
    remote::{pack::pack, unpack::unpack},
    tree::measure,
};

/// What lies under a name.
#[derive(Clone, Debug)]
enum Node {
    File {
        bytes: Vec<u8>,
        is_executable: bool,
    },
    /// A file of this many zeros that occupies nothing.
    Hole(u64),
    Link(String),
    Dir(BTreeMap<String, Node>),
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{1,2}",
        2 => "[ .\\-~\n\u{e9}\u{6f22}*%]{1,4}x",
        1 => "[a-z]{95,105}",
        1 => "[a-z]{250}",
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        (510..515_usize).prop_map(|len| vec![3; len]),
        (0..200_000_usize).prop_map(|len| [vec![0; len], vec![9]].concat()),
    ];
    let file = (bytes, any::<bool>())
        .prop_map(|(bytes, is_executable)| Node::File { bytes, is_executable });
    let link = prop::collection::vec(name(), 1..4).prop_map(|names| Node::Link(names.join("/")));
    let leaf = prop_oneof![4 => file, 1 => (0..10_000_000_u64).prop_map(Node::Hole), 2 => link];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop::collection::btree_map(name(), inner, 0..6).prop_map(Node::Dir)
    })
}

fn make(at: &Path, node: &Node) {
    match node {
        Node::File { bytes, is_executable } => {
            let mut file = File::create(at).unwrap();
            file.write_all(bytes).unwrap();
            let mode = if *is_executable { 0o700 } else { 0o640 };
            file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        }
        Node::Hole(len) => File::create(at).unwrap().set_len(*len).unwrap(),
        Node::Link(target) => symlink(target, at).unwrap(),
        Node::Dir(children) => {
            fs::create_dir(at).unwrap();
            children.iter().for_each(|(name, child)| make(&at.join(name), child));
        }
    }
}

/// Checks that what lies there is what the node says.
fn check(at: &Path, node: &Node) {
    let found = fs::symlink_metadata(at).unwrap();
    match node {
        Node::File { bytes, is_executable } => {
            let mut read = Vec::new();
            File::open(at).unwrap().read_to_end(&mut read).unwrap();
            assert!(&read == bytes, "{at:?}");
            assert_eq!(found.mode() & 0o100 != 0, *is_executable, "{at:?}");
        }
        Node::Hole(len) => assert_eq!((found.len(), found.blocks()), (*len, 0)),
        Node::Link(target) => assert_eq!(fs::read_link(at).unwrap(), PathBuf::from(target)),
        Node::Dir(children) => {
            assert_eq!(fs::read_dir(at).unwrap().count(), children.len());
            children.iter().for_each(|(name, child)| check(&at.join(name), child));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_packed_directory_comes_back(children in prop::collection::btree_map(name(), node(), 0..6)) {
        let dir = tempfile::tempdir().unwrap();
        let (before, after) = (dir.path().join("before"), dir.path().join("after"));
        let node = Node::Dir(children);
        make(&before, &node);
        let mut archive = Vec::new();
        let packed = pack(&before, &mut archive).unwrap();
        prop_assert_eq!(packed.len, archive.len() as u64);
        prop_assert_eq!(packed.digest, larder_storage::Digest::of(&archive));

        fs::create_dir(&after).unwrap();
        unpack(&archive[..], &after).unwrap();
        check(&after, &node);
        prop_assert_eq!(measure(&after, Measure::default()).unwrap().listing, measure(&before, Measure::default()).unwrap().listing);
        // Equal directories give equal archives, whatever their times and owners.
        prop_assert_eq!(pack(&after, std::io::sink()).unwrap(), packed);
    }

    #[test]
    fn whatever_an_archive_holds_it_stays_in_its_directory(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let around = tempfile::tempdir().unwrap();
        let (before, stage) = (around.path().join("before"), around.path().join("stage"));
        fs::create_dir(&before).unwrap();
        fill(&before, 1).unwrap();
        let mut archive = Vec::new();
        pack(&before, &mut archive).unwrap();
        for (at, byte) in flips {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        // Where the sum of a header is right again, what it says counts.
        for start in (0..archive.len()).step_by(512) {
            let mut header = tar::Header::from_byte_slice(&archive[start..start + 512]).clone();
            header.set_cksum();
            archive[start + 148..start + 156].copy_from_slice(&header.as_bytes()[148..156]);
        }
        fs::create_dir(&stage).unwrap();
        // Some changes make another sound archive.
        let _ = unpack(&archive[..], &stage);
        prop_assert_eq!(fs::read_dir(around.path()).unwrap().count(), 2);
    }
}

#[test]
fn what_makes_no_difference_to_an_entry_makes_none_to_its_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    for (root, mode, seconds) in [(&a, 0o600, 1), (&b, 0o644, 2)] {
        fs::create_dir(root).unwrap();
        let file = File::create(root.join("f")).unwrap();
        file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }
    File::create(b.join(".cache_meta")).unwrap();
    // A hard link is one more file.
    fs::hard_link(a.join("f"), a.join("g")).unwrap();
    File::create(b.join("g")).unwrap();
    assert_eq!(pack(&a, std::io::sink()).unwrap(), pack(&b, std::io::sink()).unwrap());
}

#[test]
fn an_archive_of_this_version_has_these_bytes() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 1).unwrap();
    symlink("x".repeat(120), dir.path().join("y".repeat(130))).unwrap();
    let packed = pack(dir.path(), std::io::sink()).unwrap();
    let digest = "ed242cff8fd27d3c83d4e19426c6a2b450e8c21b450d55bb2bd72f4666701707";
    assert_eq!((packed.digest.to_string().as_str(), packed.len), (digest, 6656));
}
