//! What depending on one crate costs.

use crate::support::{cargo, text};

/// The names of all packages that a build of `package` needs.
fn tree(package: &str) -> Vec<String> {
    let output = cargo()
        .args([
            "tree",
            "--offline",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--edges",
            "normal,build",
        ])
        .args(["--package", package])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn a_directory_cache_needs_neither_arrow_nor_ndarray() {
    let tree = tree("larder-dir-cache");
    assert!(tree.iter().any(|name| name == "larder-storage"), "{tree:?}");
    for unwanted in ["arrow", "parquet", "ndarray"] {
        assert!(!tree.iter().any(|name| name.starts_with(unwanted)), "{unwanted} in {tree:?}");
    }
}

#[test]
fn nothing_needs_openssl_or_cmake() {
    for package in ["larder", "larder-cli"] {
        let tree = tree(package);
        assert!(
            // `openssl-probe` only knows where certificates lie.
            !tree.iter().any(|name| ["openssl", "openssl-sys", "cmake"].contains(&name.as_str())),
            "{package}: {tree:?}"
        );
    }
}
