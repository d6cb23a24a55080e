use super::*;
use crate::genome::{Genome, Record, orf, signal};

fn render(records: &[Record], title: &str, window: usize, min_codons: usize) -> String {
    let derived: Vec<_> = records
        .iter()
        .map(|record| {
            let sequence = record.sequence.as_slice();
            let content = signal::gc_content(sequence, window);
            (content, signal::gc_skew(sequence, window), orf::find(sequence, min_codons))
        })
        .collect();
    let tracks: Vec<_> = records
        .iter()
        .zip(&derived)
        .map(|(record, (gc_content, gc_skew, orfs))| Track {
            name: &record.name,
            sequence: &record.sequence,
            gc_content,
            gc_skew,
            orfs,
        })
        .collect();
    let mut out = Vec::new();
    write(&mut out, &Plot { title, window, min_codons, records: &tracks }).unwrap();
    String::from_utf8(out).unwrap()
}

fn record(name: &str, sequence: &[u8]) -> Record {
    Record { name: name.to_owned(), sequence: sequence.to_vec() }
}

/// Every element is closed, every number is one.
fn assert_sound(svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    for line in svg.lines() {
        let element = line.trim_start_matches('<').split([' ', '>']).next().unwrap();
        let closed = line.ends_with("/>") || line.ends_with(&format!("</{element}>"));
        assert!(closed || ["svg", "/svg"].contains(&element), "{line}");
    }
}

#[test]
fn lambda_is_drawn_whole() {
    let lambda = Genome::lambda().unwrap();
    let svg = render(&lambda.records, &lambda.name, 500, 100);
    assert_sound(&svg);
    assert!(svg.contains("width=\"1200\" height=\"700\""));
    assert!(svg.contains("48,502 bp · GC 49.86 % · 67 open reading frames"));
    assert!(svg.contains("position (kb)"));
    let arrows = |color| svg.matches(&format!("<path fill=\"{color}\" d=")).count();
    assert_eq!((arrows(FORWARD), arrows(REVERSE)), (37, 30));
}

#[test]
fn the_longest_records_are_drawn_in_their_order() {
    let lengths = [("one", 30), ("two", 10), ("three", 50), ("four", 40), ("five", 20)];
    let records = lengths.map(|(name, length)| record(name, &b"ACGGT".repeat(length)));
    let svg = render(&records, "five", 20, 1);
    assert_sound(&svg);
    assert!(svg.contains("the 4 longest of 5 records"));
    let at = |name| svg.find(&format!(">{name}</text>"));
    assert_eq!(at("two"), None);
    assert!(at("one") < at("three") && at("three") < at("four") && at("four") < at("five"));
}

#[test]
fn tiny_and_featureless_records_are_drawn() {
    for sequence in [&b"A"[..], b"N", b"GGGG", b"NNNNNNNNNN"] {
        assert_sound(&render(&[record("r", sequence)], "tiny", 500, 100));
    }
}

#[test]
fn names_are_escaped() {
    let svg = render(&[record("<r&\"1\">", b"ACGT")], "a<b", 2, 1);
    assert_sound(&svg);
    assert!(svg.contains("GC skew of a&lt;b<") && svg.contains(">&lt;r&amp;&quot;1&quot;&gt;<"));
}
