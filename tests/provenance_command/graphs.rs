//! Lineages as text, and in the forms of other programs.

use super::*;

#[test]
fn a_tree_is_indented_by_distance() {
    let family = Family::new();
    let Family { reads, sorted, filtered, joined, .. } = family;
    let lineage =
        |id: Id, args: &[&str]| family.printed(&[&["lineage", &id.to_string()], args].concat());
    let line = |id: Id, what: &str| format!("{id}  live  {what}\n");
    let reads = line(reads, "bytes  1000 B  -");
    let [sorted_line, filtered_line] =
        [line(sorted, "bytes  2.0 KiB  sort"), line(filtered, "bytes  500 B  filter")];
    let joined_line = line(joined, "json  1 B  join");
    let above = format!(
        "{joined_line}made from\n  left = {sorted_line}    {reads}  right = {filtered_line}    {reads}"
    );
    assert_eq!(lineage(joined, &[]), above, "nothing was made from it");
    assert_eq!(lineage(joined, &["--up"]), above);
    assert_eq!(lineage(joined, &["--down"]), joined_line);
    let from_reads = lineage(family.reads, &["--down"]);
    let below = format!(
        "{reads}made into\n  {sorted_line}    left = {joined_line}  {filtered_line}    right = {joined_line}"
    );
    assert_eq!(from_reads, below);
    let both = format!("{sorted_line}made from\n  {reads}made into\n  left = {joined_line}");
    assert_eq!(lineage(sorted, &[]), both);
}

#[test]
fn other_programs_get_their_forms() {
    let family = Family::new();
    let id = family.sorted.to_string();
    let of = |args: &[&str]| family.printed(&[&["lineage", &id], args].concat());
    let prov = of(&["--format", "json"]);
    assert_eq!(of(&["--json"]), prov);
    let prov: Value = serde_json::from_str(&prov).unwrap();
    assert!(prov["prefix"].is_object() && prov["entity"].as_object().unwrap().len() >= 4, "{prov}");
    assert!(of(&["--format", "dot"]).starts_with("digraph "));
    let svg = of(&["--format", "svg"]);
    assert!(svg.starts_with("<svg ") && svg.contains("Lineage of 4 records"));
    // What went in beside it is there, and so not shown as missing.
    assert!(!svg.contains(">missing<"), "{svg}");
    assert!(of(&["--format", "svg", "--up"]).contains("Lineage of 2 records"));

    let file = family.dir.path().join("lineage.svg");
    assert_eq!(of(&["--format", "svg", "-o", "lineage.svg"]), "");
    assert_eq!(fs::read_to_string(file).unwrap(), svg);
    family.refused(&["lineage", &id, "-o", "none/a.svg"], &["none/a.svg", "make it first"]);
    family.refused(&["lineage", &id, "-o", "store"], &["store", "is no ordinary file"]);
}

#[test]
fn a_store_is_exported_whole_or_in_part() {
    let family = Family::new();
    let dir = family.dir.path();
    let other = open(dir).put(b"alone".to_vec(), Some(Provenance::new("alone"))).unwrap();
    assert_eq!(family.printed(&["export", "-o", "all.json"]), "exported 5 records\n");
    let all: Value = serde_json::from_slice(&fs::read(dir.join("all.json")).unwrap()).unwrap();
    assert!(all.to_string().contains(&other.to_string()));
    let args = ["export", &end(family.filtered), "-o", "some.svg", "--format", "svg"];
    let report = family.json(&args);
    assert_eq!(report, json!({ "records": 4, "file": "some.svg" }));
    let svg = fs::read_to_string(dir.join("some.svg")).unwrap();
    assert!(svg.contains("Lineage of 4 records") && !svg.contains(&other.to_string()));
    family.refused(&["export", "@none", "-o", "none.json"], &["no record has the tag"]);
    assert!(!dir.join("none.json").exists());
}
