//! `larder.json`: a directory that holds it is a root, or is refused, and nothing in it changes.
#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use larder::Larder;
use larder_fuzz::{DAMAGE, allow};
use libfuzzer_sys::fuzz_target;

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().unwrap().keep());

fuzz_target!(|data: &[u8]| {
    let marker = ROOT.join("larder.json");
    fs::write(&marker, data).unwrap();
    if let Some(is_root) = allow(Larder::is_root(&*ROOT), DAMAGE) {
        let marker: serde_json::Value = serde_json::from_slice(data).unwrap();
        assert!(is_root && marker["format"] == "larder" && marker["version"] == 1);
    }
    assert_eq!(fs::read(&marker).unwrap(), data);
    assert_eq!(fs::read_dir(&*ROOT).unwrap().count(), 1);
});
