//! Why a result is not found.

use super::*;

/// What is said of the provenance in `asked.json`.
#[track_caller]
fn asked(family: &Family, provenance: &Provenance, args: &[&str]) -> String {
    fs::write(family.dir.path().join("asked.json"), provenance.to_json()).unwrap();
    family.printed(&[&["why-miss", "asked.json"], args].concat())
}

#[test]
fn each_difference_has_a_line() {
    let family = Family::new();
    let (id, end) = (family.sorted.to_string(), end(family.sorted));
    assert_eq!(asked(&family, &sort(family.reads), &[]), format!("it is there: record {id}\n"));
    let other = sort(family.filtered).version("3").param("window", 500.0);
    let expected = format!(
        "no record has this provenance\nnearest  {id}  sort\n\
         from what was asked for to what that one has:\n  \
         version: \"3\" -> \"2\"\n  input 0: record {} -> record {}\n  parameter \"window\": 500.0 -> 500\n",
        family.filtered, family.reads
    );
    assert_eq!(asked(&family, &other, &[]), expected);
    let mended = asked(&family, &sort(family.reads).param("window", 1), &["--param", "window=500"]);
    assert_eq!(mended, format!("it is there: record {id}\n"));

    let like = |value: &str| family.json(&["why-miss", "--like", &end, "--param", value]);
    let differences = |value: &str| like(value)["differences"].clone();
    assert_eq!(like("window=500")["explanation"], "hit");
    assert_eq!(differences("window=501"), json!(["parameter \"window\": 501 -> 500"]));
    assert_eq!(differences("window=500.0"), json!(["parameter \"window\": 500.0 -> 500"]));
    assert_eq!(differences("window=wide"), json!(["parameter \"window\": \"wide\" -> 500"]));
    assert_eq!(differences("window=\"500\""), json!(["parameter \"window\": \"500\" -> 500"]));
    assert_eq!(differences("a=b=c"), json!(["parameter \"a\": \"b=c\" -> absent"]));
    assert_eq!(like("a={\"float\":\"nan\"}")["record"], id.as_str());
    let two = ["why-miss", "--like", &end, "--param", "window=1", "--param", "stable=null"];
    assert_eq!(family.json(&two)["differences"].as_array().unwrap().len(), 2);
}

#[test]
fn the_kind_need_not_be_known() {
    let family = Family::new();
    let join = Provenance::new("join").input(family.sorted);
    assert!(asked(&family, &join, &[]).contains(&format!("nearest  {}  join\n", family.joined)));
    let bytes = asked(&family, &join, &["--kind", "bytes"]);
    assert_eq!(bytes, "no record is of this operation or has an input of it\n");
}

#[test]
fn what_became_of_a_record_is_told() {
    let family = Family::new();
    let like = |id: Id| family.printed(&["why-miss", "--like", &id.to_string()]);
    family.printed(&["gc", "--max-bytes", "1kB"]);
    let sorted = family.sorted;
    let collected = format!("the payload of record {sorted} was given up to free space\n");
    assert_eq!(like(sorted), collected);

    let family = Family::new();
    let like = |id: Id| family.printed(&["why-miss", "--like", &id.to_string()]);
    family.printed(&["invalidate", &family.sorted.to_string()]);
    assert_eq!(like(family.sorted), format!("record {} was invalidated\n", family.sorted));
    assert_eq!(
        like(family.joined),
        format!(
            "doubtful  {}  join\ninputs that are not as they were:\n  {}  invalid  sort\n",
            family.joined, family.sorted
        )
    );
    fs::remove_dir_all(family.dir.path().join("store/blobs")).unwrap();
    let lost = format!("the payload of record {} is missing or damaged\n", family.filtered);
    assert_eq!(like(family.filtered), lost);
}

#[test]
fn standard_input_is_read() {
    let family = Family::new();
    let mut command = larder();
    command.args(["provenance", "why-miss", "-", "--dir", "store"]).current_dir(family.dir.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let made = sort(family.reads).to_json();
    process.stdin.take().unwrap().write_all(made.as_bytes()).unwrap();
    let said = text(&process.wait_with_output().unwrap().stdout);
    assert_eq!(said, format!("it is there: record {}\n", family.sorted));
}

#[test]
fn what_is_no_provenance_is_refused() {
    let family = Family::new();
    let dir = family.dir.path();
    fs::write(dir.join("broken.json"), "{\"operation\": 7}").unwrap();
    fs::write(dir.join("bytes.json"), [0xff, 0xfe]).unwrap();
    let not_one = ("broken.json", "the provenance is not the JSON form of one");
    for (file, what) in [not_one, ("bytes.json", "is not UTF-8")] {
        assert_refused(&provenance(dir, &["why-miss", file]), 1, &[file, what]);
    }
    family.refused(&["why-miss", "none.json"], &["none.json", "cannot read the provenance"]);
    family.refused(&["why-miss", "--like", &end(family.reads)], &["has no provenance"]);
    let object = ["why-miss", "--like", &end(family.sorted), "--param", "a={\"b\":1}"];
    family.refused(&object, &["{\"b\":1} is no parameter", "{\"map\": {..}}"]);
    for (args, word) in [
        (&["why-miss"][..], "PROVENANCE"),
        (&["why-miss", "--like", "x", "--param", "a"], "window=500"),
        (&["why-miss", "a.json", "--like", "x"], "cannot be used with"),
    ] {
        let output = provenance(dir, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(word), "{args:?}: {}", text(&output.stderr));
    }
}
