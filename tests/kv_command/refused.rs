//! Bad input, and damage.

use super::*;

#[test]
fn a_damaged_document_is_named_and_kept() {
    let root = Root::new();
    let (docs, file) = (root.file("docs"), root.file("docs/genes.json"));
    fs::create_dir(&docs).unwrap();
    for (content, words) in
        [("{\"a\": 1,", &["damaged", "line 1"][..]), ("[1]", &["no JSON object"])]
    {
        fs::write(&file, content).unwrap();
        for args in [&["get", "genes", "a"][..], &["set", "genes", "a", "2"], &["clear", "genes"]] {
            let args = [args, &["--document", "docs"]].concat();
            root.assert_refused(&args, 1, &[&["genes.json"], words].concat());
        }
        let output = root.kv(&["verify", "genes", "--document", "docs", "--json"]);
        assert_eq!(output.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["problems"].as_array().map(Vec::len), Some(1), "{report}");
        assert!(text(&output.stderr).contains("`larder kv repair` puts"));
        assert_eq!(fs::read_to_string(&file).unwrap(), content);

        root.assert_refused(
            &["import", "new", "docs/genes.json"],
            1,
            &[&["genes.json"], words].concat(),
        );
    }
    assert!(!root.path().exists(), "a cache was made for nothing");
}

#[test]
fn a_damaged_document_is_put_aside_only_by_repair() {
    let root = Root::new();
    fs::create_dir(root.file("docs")).unwrap();
    let (file, damaged) = (root.file("docs/genes.json"), "{\"a\": 1,");
    fs::write(&file, damaged).unwrap();
    let printed = root.printed(&["repair", "genes", "--document", "docs"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
    let copies: Vec<_> = fs::read_dir(root.file("docs/quarantine")).unwrap().collect();
    let [Ok(copy)] = &copies[..] else { panic!("{copies:?}") };
    assert!(printed.contains(copy.file_name().to_str().unwrap()), "{printed}");
    assert_eq!(fs::read_to_string(copy.path()).unwrap(), damaged);
    root.printed(&["set", "genes", "a", "2", "--document", "docs"]);
    root.printed(&["repair", "genes", "--document", "docs"]);
    assert_eq!(root.printed(&["get", "genes", "a", "--document", "docs"]), "2\n");

    fs::write(&file, "[1]").unwrap();
    let output = root.kv(&["repair", "genes", "--document", "docs"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("no JSON object"), "{}", text(&output.stdout));
    assert_eq!(fs::read_to_string(&file).unwrap(), "[1]");
}

#[test]
fn a_key_that_is_too_long_makes_no_cache() {
    let root = Root::new();
    let long = "k".repeat(4097);
    root.assert_refused(&["set", "genes", &long, "1"], 2, &["4096 bytes"]);
    fs::write(root.file("long.json"), json!({ "a": 1, &*long: 2 }).to_string()).unwrap();
    root.assert_refused(&["import", "genes", "long.json"], 2, &["long.json", "4096 bytes"]);
    assert!(!root.path().exists(), "a cache was made for nothing");
}

#[test]
fn an_unreadable_entry_of_a_document_hides_no_other() {
    let root = Root::new();
    fs::create_dir(root.file("docs")).unwrap();
    fs::write(root.file("docs/genes.json"), r#"{"nan": NaN, "a": 1}"#).unwrap();
    let at = ["--document", "docs"];
    assert_eq!(root.printed(&[&["get", "genes", "a"][..], &at].concat()), "1\n");
    root.assert_refused(&[&["get", "genes", "nan"][..], &at].concat(), 1, &["nan", "genes.json"]);
    let output = root.kv(&[&["verify", "genes"][..], &at].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("nan"), "{}", text(&output.stdout));
    root.printed(&[&["set", "genes", "nan", "null"][..], &at].concat());
    root.printed(&[&["verify", "genes"][..], &at].concat());
}

#[test]
fn a_mistyped_namespace_makes_nothing() {
    let root = Root::new();
    root.set("genes", "a", "1");
    let looks = [
        &["get", "gnes", "a"][..],
        &["rm", "gnes", "a"],
        &["keys", "gnes"],
        &["export", "gnes"],
        &["hits", "gnes"],
        &["status", "gnes"],
        &["clear", "gnes"],
        &["vacuum", "gnes"],
        &["verify", "gnes"],
        &["repair", "gnes"],
    ];
    for args in looks {
        root.assert_refused(args, 2, &["gnes", "no namespace"]);
    }
    root.assert_refused(&["export", "gnes", "--output", "out.json"], 2, &["gnes"]);
    for what in ["verify", "repair", "status"] {
        root.assert_refused(&[what, "gnes", "--document", "docs"], 2, &["gnes", "docs"]);
    }
    assert_eq!(root.json(&["status"])["namespaces"].as_object().unwrap().len(), 1);
    assert_eq!(names(root.0.path()), ["root"]);
}

#[test]
fn bad_values_and_files_are_refused_before_anything_is_made() {
    let root = Root::new();
    let deep = "[".repeat(200) + &"]".repeat(200);
    for value in ["hello", "{\"a\": }", "NaN", "1e999", "", "1 2", "-", &deep] {
        root.assert_refused(&["set", "genes", "a", value], 2, &["JSON", "--text"]);
    }
    let output = root.kv_with(&["set", "genes", "a", "-", "--text"], b"\xff");
    assert_refused(&output, 2, &["UTF-8"]);
    root.assert_refused(&["import", "genes", "missing.json"], 2, &["missing.json"]);
    root.assert_refused(&["import", "genes", "."], 2, &["directory"]);
    fs::write(root.file("cut.json"), "{\"a\": 1").unwrap();
    root.assert_refused(&["import", "genes", "cut.json"], 1, &["cut.json", "damaged"]);
    fs::write(root.file("list.json"), "[]").unwrap();
    root.assert_refused(&["import", "genes", "list.json"], 1, &["list.json", "object"]);
    assert_eq!(names(root.0.path()), ["cut.json", "list.json"]);

    for time in ["1", "1y", "0s", "-1h", "h"] {
        let output = root.kv(&["set", "genes", "a", "1", &format!("--ttl={time}")]);
        assert_eq!(output.status.code(), Some(2), "{time}");
        assert!(text(&output.stderr).contains("90s"), "{}", text(&output.stderr));
    }
    assert!(!root.path().exists());
    root.assert_refused(&["set", &"n".repeat(210), "a", "1"], 2, &["nnn", "200"]);
    root.assert_refused(&["set", "genes", &"k".repeat(5000), "1"], 2, &["kkk", "4096"]);
}

#[test]
fn an_export_that_cannot_be_leaves_what_was_there() {
    let root = Root::new();
    root.set("genes", "a", "1");
    root.set("genes", "b", "22");
    let to = |file: &str| root.kv(&["export", "genes", "--output", file]);
    assert_refused(&to("."), 2, &["ordinary"]);
    assert_refused(&to("/dev/null"), 2, &["ordinary"]);
    assert_refused(&to("none/out.json"), 2, &["none/out.json", "directory"]);
    assert!(!root.file("none").exists());

    fs::write(root.file("out.json"), "precious").unwrap();
    let database = root.path().join("kv/.larder/kv/genes.sqlite");
    let damage = "UPDATE entry SET value = x'3233' WHERE key = 'b'";
    assert_eq!(Connection::open(database).unwrap().execute(damage, []), Ok(1));
    assert_refused(&to("out.json"), 1, &["\"b\"", "damaged"]);
    assert_eq!(fs::read_to_string(root.file("out.json")).unwrap(), "precious");

    root.assert_refused(&["get", "genes", "b"], 1, &["\"b\"", "damaged"]);
    assert_eq!(root.printed(&["get", "genes", "a"]), "1\n");
    let output = root.kv(&["verify", "genes", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["problems"][0]["place"], "b");
}

#[test]
fn a_damaged_database_is_moved_aside_only_by_repair() {
    let root = Root::new();
    root.set("genes", "a", "1");
    root.set("other", "a", "1");
    let database = root.path().join("kv/.larder/kv/genes.sqlite");
    File::options().write(true).open(&database).unwrap().write_all(&[0x55; 4096]).unwrap();
    for args in [&["get", "genes", "a"][..], &["set", "genes", "a", "2"], &["export", "genes"]] {
        root.assert_refused(args, 1, &["genes.sqlite"]);
    }
    assert_eq!(root.kv(&["verify", "genes"]).status.code(), Some(1));
    assert_eq!(root.printed(&["verify", "other"]).lines().last(), Some("No problem was found."));
    assert_eq!(fs::read(&database).unwrap()[..4096], [0x55; 4096]);

    let moved = root.json(&["repair", "genes"])["moved"][0].as_str().unwrap().to_owned();
    assert_eq!(fs::read(moved).unwrap()[..4096], [0x55; 4096]);
    root.assert_refused(&["keys", "genes"], 2, &["genes"]);
    root.set("genes", "a", "2");
    assert_eq!(root.printed(&["keys", "genes"]), "a\n");
}
