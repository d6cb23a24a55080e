//! The main job: `larder tour`, cold, warm and again.

use std::{fs, path::Path, process::Stdio};

use serde_json::Value;

use crate::support::{json, larder, repository, text};

const STEPS: [&str; 8] =
    ["genome", "gc_content", "gc_skew", "orfs", "arrays", "embeddings", "proteins", "report"];

fn figures<'a>(report: &'a Value, figure: &'a str) -> impl Iterator<Item = u64> + 'a {
    report["steps"].as_array().unwrap().iter().map(move |step| step[figure].as_u64().unwrap())
}

/// Holds a report to "nothing was computed": not in its cold pass either.
#[track_caller]
fn assert_all_hits(report: &Value) {
    assert!(figures(report, "misses").all(|misses| misses == 0), "{report:#}");
    assert!(figures(report, "cold_misses").all(|misses| misses == 0), "{report:#}");
    assert!(figures(report, "hits").all(|hits| hits > 0), "{report:#}");
}

#[test]
fn the_second_pass_and_the_second_run_compute_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let first = json(&root, &["tour"]);
    let names: Vec<_> =
        first["steps"].as_array().unwrap().iter().map(|step| step["name"].clone()).collect();
    assert_eq!(names, STEPS);
    assert!(figures(&first, "cold_misses").all(|misses| misses > 0), "{first:#}");
    assert!(figures(&first, "misses").all(|misses| misses == 0), "{first:#}");
    assert!(
        figures(&first, "hits").eq(figures(&first, "cold_misses")),
        "each miss is one hit later: {first:#}"
    );
    for step in first["steps"].as_array().unwrap() {
        assert!(step["cold_ms"].as_f64().unwrap() > 0.0 && step["warm_ms"].as_f64().unwrap() > 0.0);
    }
    assert_all_hits(&json(&root, &["tour"]));
}

#[test]
fn the_arrays_really_spill() {
    let dir = tempfile::tempdir().unwrap();
    let report = json(&dir.path().join("root"), &["tour"]);
    let arrays = &report["arrays"];
    let figure = |name: &str| arrays[name].as_u64().unwrap();
    assert!(figure("budget_bytes") < figure("total_bytes"), "{arrays:#}");
    assert!(figure("peak_resident_bytes") <= figure("budget_bytes"), "{arrays:#}");
    assert!(figure("spills") > 0, "{arrays:#}");
}

#[test]
fn the_report_is_there_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let report = json(&dir.path().join("root"), &["tour"]);
    let place = Path::new(report["report"].as_str().unwrap());
    assert!(place.starts_with(report["root"].as_str().unwrap()));
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();

    // 67 open reading frames of at least 100 codons, counted by an independent program.
    assert_eq!(read("orfs.bed").lines().count(), 67);
    assert!(read("orfs.bed").contains("\t37226\t37940\t"), "the cI repressor");
    assert!(read("gc_content.bedgraph").starts_with("track type=bedGraph"));
    assert!(read("gc_skew.bedgraph").lines().count() > 100);
    for picture in ["gc_skew.svg", "lineage.svg"] {
        let svg = read(picture);
        assert!(svg.starts_with("<svg") || svg.starts_with("<?xml"));
        assert!(svg.trim_end().ends_with("</svg>"));
    }
    let lineage = read("lineage.svg");
    for word in ["Lineage of 4 records", ">import genome<", ">gc_content<", ">gc_skew<", ">genome<"]
    {
        assert!(lineage.contains(word), "{word}: {lineage}");
    }
    assert_eq!(lineage.matches(">open_reading_frames<").count(), 1, "said once");
}

#[test]
fn a_report_that_lost_a_file_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let report = json(&root, &["tour"]);
    for picture in ["gc_skew.svg", "lineage.svg"] {
        let svg = Path::new(report["report"].as_str().unwrap()).join(picture);
        fs::remove_file(&svg).unwrap();
        let again = json(&root, &["tour"]);
        assert_eq!(figures(&again, "cold_misses").sum::<u64>(), 1, "{again:#}");
        assert!(svg.exists());
    }
}

#[test]
fn the_same_sequence_in_another_file_is_the_same_genome() {
    let dir = tempfile::tempdir().unwrap();
    let (root, other) = (dir.path().join("root"), dir.path().join("phage.fasta"));
    json(&root, &["tour"]);
    let lambda =
        fs::read_to_string(repository().join("crates/larder-cli/data/lambda_phage.fa")).unwrap();
    let (header, sequence) = lambda.split_once('\n').unwrap();
    let name = header.split(' ').next().unwrap();
    let again =
        format!("{name} shouted\r\n{}\r\n\r\n", sequence.to_lowercase().replace('\n', "\r\n"));
    fs::write(&other, again).unwrap();
    assert_all_hits(&json(&root, &["tour", other.to_str().unwrap()]));
}

#[test]
fn several_records_and_a_second_genome_live_in_one_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let fasta = |name: &str, unit: &str| {
        let path = dir.path().join(name);
        let sequence = unit.repeat(60);
        fs::write(&path, format!(">chr1\n{sequence}\n>chr2\nNNNN{sequence}NNNN\n>tiny\nAC\n"))
            .unwrap();
        path.to_str().unwrap().to_owned()
    };
    let one = fasta("one.fa", "ATGGCCATTGTAATGGGCCGCTGAAAGGGTGCCCGATAG");
    let two = fasta("two.fa", "ATGAAACCCGGGTTTACGTACGTAGCTAGCATCGATTGA");
    for path in [&one, &two] {
        let report = json(&root, &["tour", path]);
        assert!(figures(&report, "misses").all(|misses| misses == 0), "{report:#}");
    }
    for path in [&one, &two] {
        let report = json(&root, &["tour", path]);
        assert!(figures(&report, "cold_misses").all(|misses| misses == 0), "{report:#}");
    }
    json(&root, &["verify"]);
}

#[test]
fn people_get_a_table_and_no_bar_where_there_is_no_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let output = larder().arg("tour").arg("--root").arg(dir.path().join("root")).output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
    let table = text(&output.stdout);
    for word in STEPS.iter().chain(&[
        "cold",
        "warm",
        "hits",
        "misses",
        "bytes",
        "gc_skew.svg",
        "lineage.svg",
    ]) {
        assert!(table.contains(word), "{table}");
    }
}

#[test]
fn every_store_tells_its_status() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    json(&root, &["tour"]);
    let all = json(&root, &["status"]);
    assert_eq!(all["clean"], true, "{all:#}");
    for store in ["kv", "array", "shards", "dirs", "provenance"] {
        assert_eq!(json(&root, &[store, "status"]), all["stores"][store], "{store}");
        let output = larder().args([store, "status", "--root"]).arg(&root).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty());
    }
    assert_eq!(json(&root, &["verify"])["problems"], Value::Array(Vec::new()));
}

#[test]
fn the_root_can_come_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let output = larder().args(["tour", "--json"]).env("LARDER_ROOT", &root).output().unwrap();
    assert!(output.status.success());
    assert!(root.join("larder.json").exists());
    let mut unset = larder();
    unset
        .arg("tour")
        .env("LARDER_ROOT", "")
        .env("XDG_CACHE_HOME", dir.path())
        .env("HOME", dir.path());
    assert!(unset.output().unwrap().status.success());
    assert!(dir.path().join("larder/larder.json").exists());
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = larder().args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("tour"), "{shell}");
    }
}

#[test]
fn two_tours_at_once_share_the_work() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let root = dir.path().join(round.to_string());
        let tour = || {
            let mut command = larder();
            command.args(["tour", "--json", "--root"]).arg(&root);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        for tour in [tour(), tour(), tour()] {
            let output = tour.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        assert_eq!(json(&root, &["verify"])["problems"], Value::Array(Vec::new()));
        assert_all_hits(&json(&root, &["tour"]));
    }
}

#[test]
fn what_is_damaged_hides_nothing_else_and_repair_moves_it_aside() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    json(&root, &["tour"]);
    let databases = [
        "dirs/.larder/dirs.sqlite",
        "kv/.larder/kv/orfs.sqlite",
        "provenance/.larder/provenance.sqlite",
        "shards/.larder/shards.sqlite",
    ];
    for database in databases {
        fs::write(
            root.join(database),
            "no database, but more than a header's length of text ".repeat(10),
        )
        .unwrap();
    }
    let failing = |args: &[&str]| {
        let output = larder().args(args).arg("--root").arg(&root).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        text(&output.stdout) + &text(&output.stderr)
    };
    for args in [["status"], ["verify"]] {
        let told = failing(&args);
        for database in databases {
            assert!(told.contains(database), "{args:?}: {told}");
        }
        assert!(
            told.contains("\n  arrays ") || told.starts_with("array\n  arrays "),
            "the sound store is told as well: {told}"
        );
    }

    let repaired = json(&root, &["repair"]);
    for store in ["dirs", "kv", "provenance", "shards"] {
        let moved = repaired["stores"][store]["moved"].as_array().unwrap();
        let place = Path::new(moved[0].as_str().unwrap());
        assert!(place.exists() && place.to_string_lossy().contains("quarantine"), "{place:?}");
    }
    let again = json(&root, &["tour"]);
    assert!(figures(&again, "misses").all(|misses| misses == 0));
    let cold = |name: &str| {
        let steps = again["steps"].as_array().unwrap();
        steps.iter().find(|step| step["name"] == name).unwrap()["cold_misses"].clone()
    };
    assert_eq!((cold("embeddings"), cold("report")), (0.into(), 0.into()), "indexes are made anew");
    assert_eq!(cold("proteins"), 67, "what was only in the database is computed again");
    assert_eq!(json(&root, &["verify"])["problems"], Value::Array(Vec::new()));
}
