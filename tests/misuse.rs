//! Bad input: one clear line, the right exit code, nothing lost and nothing half-written.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::{larder, text};

fn tour(root: &Path, fasta: Option<&Path>) -> Output {
    larder().arg("tour").args(fasta).arg("--root").arg(root).output().unwrap()
}

/// Holds `output` to one line on standard error that has all of `words`, the exit code, and nothing else.
#[track_caller]
pub(crate) fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(text(&output.stdout), "");
    for word in words {
        assert!(error.contains(word), "{error:?} should say {word:?}");
    }
}

#[test]
fn a_fasta_that_is_none_leaves_no_root_behind() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&str, Option<&[u8]>, &str); 6] = [
        ("missing.fa", None, "missing.fa"),
        ("empty.fa", Some(b""), "empty"),
        ("binary.fa", Some(&[0x7f, b'E', b'L', b'F', 0, 1, 2, 0xff]), "text"),
        ("nothing.fa", Some(b">only a name\n"), "sequence"),
        ("letters.fa", Some(b">a\nACGT\nAC!T\n"), "!"),
        ("twice.fa", Some(b">a\nACGT\n>a\nACGT\n"), "a"),
    ];
    for (name, content, word) in cases {
        let (fasta, root) = (dir.path().join(name), dir.path().join("root"));
        if let Some(content) = content {
            fs::write(&fasta, content).unwrap();
        }
        assert_refused(&tour(&root, Some(&fasta)), 2, &[name, word]);
        assert!(!root.exists(), "{name} made a root");
    }
    assert_refused(&tour(&dir.path().join("root"), Some(dir.path())), 2, &["directory"]);
}

#[test]
fn a_truncated_gzip_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let fasta = dir.path().join("cut.fa.gz");
    fs::write(&fasta, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x73]).unwrap();
    assert_refused(&tour(&dir.path().join("root"), Some(&fasta)), 1, &["cut.fa.gz"]);
}

#[test]
fn a_root_that_is_a_file_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert_refused(&tour(&file, None), 2, &["file", "directory"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn a_foreign_directory_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "precious").unwrap();
    assert_refused(&tour(dir.path(), None), 2, &["Larder", "empty"]);
    let left: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["thesis.tex"]);
}

#[test]
fn a_root_from_the_future_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("larder.json");
    fs::write(&marker, r#"{"format": "larder", "version": 99}"#).unwrap();
    assert_refused(&tour(dir.path(), None), 1, &["larder.json", "99", "upgrade"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_damaged_marker_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("larder.json"), "{").unwrap();
    assert_refused(&tour(dir.path(), None), 1, &["larder.json"]);
}

#[test]
fn looking_at_nothing_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("never-made");
    let looks = [&["status"][..], &["verify"], &["kv", "status"], &["dirs", "verify"]];
    let lookups =
        [&["kv", "keys", "genes"][..], &["kv", "export", "genes"], &["kv", "repair", "genes"]];
    for args in looks.into_iter().chain(lookups) {
        let output = larder().args(args).arg("--root").arg(&root).output().unwrap();
        assert_refused(&output, 2, &["never-made"]);
    }
    assert!(!root.exists());
}

/// Permissions do not bind the superuser, so as such the command runs as somebody else.
#[cfg(unix)]
#[test]
fn a_root_that_may_not_be_written_is_one_clear_line() {
    use std::os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    };
    let dir = tempfile::tempdir().unwrap();
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.path(), open).unwrap();
    let command = dir.path().join("larder");
    // Not by this process: while a file is open for writing here, other tests' children may have it open too, and then
    // nobody can run it.
    let copied = Command::new("cp").arg(larder().get_program()).arg(&command).status().unwrap();
    assert!(copied.success());
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o555)).unwrap();

    for root in [root.clone(), root.join("below")] {
        let mut tour = Command::new(&command);
        tour.arg("tour").arg("--root").arg(&root).current_dir("/").env_remove("LARDER_ROOT");
        if fs::metadata(dir.path()).unwrap().uid() == 0 {
            tour.uid(65534).gid(65534);
        }
        assert_refused(&tour.output().unwrap(), 1, &["root", "ermission denied"]);
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

#[test]
fn a_wrong_argument_is_misuse() {
    for args in [&["tour", "--no-such-flag"][..], &["no-such-command"], &["kv"]] {
        assert_eq!(larder().args(args).output().unwrap().status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn record_names_that_no_file_can_have_are_names_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (fasta, root) = (dir.path().join("odd.fa"), dir.path().join("root"));
    let sequence = "ATGGCCATTGTAATGGGCCGCTGAAAGGGTGCCCGATAG".repeat(40);
    let records =
        ["../../escape", "CON", "a/b", "c:d", "x."].map(|name| format!(">{name}\n{sequence}\n"));
    fs::write(&fasta, records.concat()).unwrap();
    let output = tour(&root, Some(&fasta));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let beside: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 2, "only the FASTA and the root: {beside:?}");
}

#[test]
fn a_record_name_too_long_for_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let fasta = dir.path().join("long.fa");
    fs::write(&fasta, format!(">{}\nACGTACGT\n", "n".repeat(300))).unwrap();
    assert_refused(&tour(&dir.path().join("root"), Some(&fasta)), 2, &["nnn", "255"]);
}
