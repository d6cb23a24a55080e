use larder_storage::{Digest, time};
use serde_json::{Value as Json, json};

use super::*;
use crate::State;
use crate::Value;

/// The id that ends with this number.
pub(super) fn id(number: u32) -> Id {
    let mut bytes = *b"\x01\x90\x00\x00\x00\x00\x70\x00\x80\x00\x00\x00\x00\x00\x00\x00";
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Id::from_bytes(bytes)
}

fn record(number: u32, provenance: Option<Provenance>, summary: &str) -> LineageRecord {
    let record = Record {
        id: id(number),
        kind: "track".to_owned(),
        created_at: time::from_ns(1_798_761_599_012_345_678),
        state: State::Live,
        stored_at: time::from_ns(1_798_761_599_012_345_678),
        cost: None,
        pinned: false,
        tags: Default::default(),
        note: None,
        provenance,
        payload: Digest::of(&number.to_be_bytes()),
        payload_len: 1536,
        summary: summary.to_owned(),
    };
    LineageRecord::new(record)
}

fn made(number: u32, operation: &str, inputs: &[u32]) -> LineageRecord {
    let provenance =
        inputs.iter().fold(Provenance::new(operation), |made, input| made.input(id(*input)));
    record(number, Some(provenance), "{}")
}

/// A content, a collected track that was made from it, and a doubtful one that was made from that and from an id that
/// is in no record.
fn small() -> Lineage {
    let import = Provenance::new("import").version("2").input(Digest::of(b"")).param("strand", "+");
    let subtract = Provenance::new("subtract").input_as("signal", id(1)).input_as("control", id(9));
    let records = [
        record(1, Some(import), r#"{"label": "A & \"B\""}"#),
        record(2, Some(subtract), r#"{"name": "C"}"#),
    ];
    let mut lineage = Lineage::from_iter(records);
    lineage.records[0].record.state = State::Collected;
    lineage.records[1].record.state = State::Doubtful;
    lineage
}

/// A graph in which each node has up to three of the `reach` nodes before it as inputs.
pub(super) fn random(count: u32, reach: u32) -> Lineage {
    let mut state = 7_u32;
    let mut draw = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut node = |number: u32| {
        let inputs: Vec<u32> =
            (0..draw(4)).filter_map(|_| number.checked_sub(1 + draw(reach))).collect();
        made(number, ["map", "filter", "join"][draw(3) as usize], &inputs)
    };
    (0..count).map(&mut node).collect()
}

/// What only damaged data hold.
pub(super) fn cyclic() -> Lineage {
    let records = [made(0, "first", &[2]), made(1, "second", &[0]), made(2, "third", &[1, 2])];
    records.into_iter().collect()
}

const HOSTILE: &str = "</svg>\"]]>\\N&amp;\u{0}\u{202e}\n\\";

fn hostile() -> Lineage {
    let provenance = Provenance::new(HOSTILE).input_as(HOSTILE, id(1)).param(HOSTILE, HOSTILE);
    let label = json!({ "label": HOSTILE }).to_string();
    Lineage::from_iter([record(0, Some(provenance), &label), record(2, None, "no JSON")])
}

fn prov(lineage: &Lineage) -> Json {
    serde_json::from_str(&lineage.to_prov_json()).unwrap()
}

#[test]
fn labels_are_those_of_the_summary() {
    let label = |summary| record(0, None, summary).label;
    assert_eq!(label(r#"{"label": "a", "name": "b"}"#).as_deref(), Some("a"));
    assert_eq!(label(r#"{"name": "b"}"#).as_deref(), Some("b"));
    for summary in [r#"{"label": ""}"#, r#"{"label": 1}"#, "[]", "no JSON", ""] {
        assert_eq!(label(summary), None, "{summary}");
    }
}

#[test]
fn dot_is_as_it_was() {
    let content = Digest::of(b"");
    let expected = format!(
        r##"digraph lineage {{
  rankdir=LR;
  node [shape=box, fontname="Helvetica", fontsize=11];
  edge [fontname="Helvetica", fontsize=9];
  "{one}" [label="import\nA &amp; \"B\"\n…00000001 · 1.5 KiB", tooltip="import, version 2\nA &amp; \"B\"\ncollected {one}\ntrack, 1536 bytes\n2026-12-31T23:59:59Z", color="#9aa5b1", fontcolor="#5b6773"];
  "{two}" [label="subtract\nC\n…00000002 · 1.5 KiB", tooltip="subtract\nC\ndoubtful {two}\ntrack, 1536 bytes\n2026-12-31T23:59:59Z", style=dashed, color="#9a6700"];
  "{nine}" [label="missing\n…00000009", tooltip="missing {nine}", style=dotted, fontcolor="#5b6773"];
  "{content}" [label="content\naf1349b9f5f9…", tooltip="content {content}", style=rounded, color="#0072b2"];
  "{content}" -> "{one}";
  "{one}" -> "{two}" [label="signal"];
  "{nine}" -> "{two}" [label="control"];
}}
"##,
        one = id(1),
        two = id(2),
        nine = id(9),
    );
    assert_eq!(small().to_dot(), expected);
}

#[test]
fn svg_is_as_it_was() {
    let lineage = Lineage::from_iter([record(1, Some(Provenance::new("a").input(id(2))), "{}")]);
    let (one, two) = (id(1), id(2));
    let expected = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="376" height="138" viewBox="-32 -32 376 138" role="img" font-family="Helvetica, Arial, sans-serif">
<title>Lineage of 1 record</title>
<rect x="-32" y="-32" width="376" height="138" fill="#fdfdfb"/>
<g fill="none" stroke="#8896a3" stroke-width="1.3">
<path d="M96.0 21.0H160.0M154.0 17.5L160.0 21.0L154.0 24.5"></path>
</g>
<g><title>a
live {one}
track, 1536 bytes
2026-12-31T23:59:59Z</title>
<rect x="160.0" y="0.0" width="152.3" height="42.0" rx="3" fill="#ffffff" stroke="#1f2933"/>
<text x="170.0" y="17.0" font-size="13" fill="#1f2933" font-weight="bold">a</text>
<text x="170.0" y="33.0" font-size="11" fill="#5b6773">…00000001 · 1.5 KiB</text>
</g>
<g><title>missing {two}</title>
<rect x="0.0" y="0.0" width="96.0" height="42.0" rx="3" fill="none" stroke="#5b6773" stroke-dasharray="2 3"/>
<text x="10.0" y="17.0" font-size="13" fill="#5b6773" font-weight="bold">missing</text>
<text x="10.0" y="33.0" font-size="11" fill="#5b6773">…00000002</text>
</g>
<rect x="0.0" y="74.0" width="26.0" height="14.0" rx="3" fill="#ffffff" stroke="#1f2933"/>
<text x="32.0" y="85.0" font-size="11" fill="#5b6773">live</text>
<rect x="110.0" y="74.0" width="26.0" height="14.0" rx="3" fill="none" stroke="#5b6773" stroke-dasharray="2 3"/>
<text x="142.0" y="85.0" font-size="11" fill="#5b6773">missing</text>
</svg>
"##
    );
    assert_eq!(lineage.to_svg(), expected);
}

#[test]
fn prov_names_what_is_there() {
    let (content, document) = (format!("larder:content-{}", Digest::of(b"")), prov(&small()));
    let [one, two, nine] = [1, 2, 9].map(|number| format!("larder:record-{}", id(number)));
    let [run_one, run_two] = [1, 2].map(|number| format!("larder:run-{}", id(number)));
    let time = "2026-12-31T23:59:59.012345Z";
    assert_eq!(
        document["wasGeneratedBy"],
        json!({
            "_:g1": { "prov:entity": one, "prov:activity": run_one, "prov:time": time },
            "_:g2": { "prov:entity": two, "prov:activity": run_two, "prov:time": time },
        })
    );
    assert_eq!(
        document["used"],
        json!({
            "_:u1": { "prov:activity": run_one, "prov:entity": content },
            "_:u2": { "prov:activity": run_two, "prov:entity": one, "prov:role": "signal" },
            "_:u3": { "prov:activity": run_two, "prov:entity": nine, "prov:role": "control" },
        })
    );
    let derived = |from: &str, to: &str, run: &str| json!({ "prov:generatedEntity": to, "prov:usedEntity": from, "prov:activity": run });
    assert_eq!(
        document["wasDerivedFrom"],
        json!({
            "_:d1": derived(&content, &one, &run_one),
            "_:d2": derived(&one, &two, &run_two),
            "_:d3": derived(&nine, &two, &run_two),
        })
    );
    let entities = document["entity"].as_object().unwrap();
    let states =
        entities.iter().map(|(name, entity)| (name, entity["larder:state"].as_str().unwrap()));
    let expected =
        [(&content, "content"), (&one, "collected"), (&two, "doubtful"), (&nine, "missing")];
    assert!(states.eq(expected), "{entities:?}");
    assert_eq!(document["entity"][&one]["prov:label"], "A & \"B\"");
    assert_eq!(document["activity"][&run_one]["larder:version"], "2");
}

#[test]
fn prov_has_each_parameter_with_its_type() {
    let typed = |text: &str, kind: &str| json!({ "$": text, "type": kind });
    let cases: [(Value, Json); 14] = [
        (true.into(), typed("true", "xsd:boolean")),
        ((-1).into(), typed("-1", "xsd:int")),
        (i64::MIN.into(), typed("-9223372036854775808", "xsd:long")),
        (u64::MAX.into(), typed("18446744073709551615", "xsd:integer")),
        (0.1_f64.into(), typed("0.1", "xsd:double")),
        ((-0.0_f64).into(), typed("-0.0", "xsd:double")),
        (1e300_f64.into(), typed("1e300", "xsd:double")),
        (f64::NAN.into(), typed("NaN", "xsd:double")),
        (f64::NEG_INFINITY.into(), typed("-INF", "xsd:double")),
        ("text".into(), json!("text")),
        (Value::bytes([0, 255]), typed("00FF", "xsd:hexBinary")),
        (Value::Null, typed("null", "larder:value")),
        (Value::list([1.0, 2.5]), typed("[1.0,2.5]", "larder:value")),
        (Value::map([("a", 1)]), typed(r#"{"map":{"a":1}}"#, "larder:value")),
    ];
    for (value, expected) in cases {
        let provenance = Provenance::new("x").param(".a b.", value.clone());
        let document = prov(&Lineage::from_iter([record(1, Some(provenance), "{}")]));
        let run = &document["activity"][format!("larder:run-{}", id(1))];
        assert_eq!(run["larder:param.%2Ea%20b%2E"], expected, "{value:?}");
    }
}

#[test]
fn prov_tells_what_is_in_the_key_from_what_is_not() {
    let made = Provenance::new("x").environment("n", 1).recorded("n", 2).param("n", 3).salt("n");
    let document = prov(&Lineage::from_iter([record(1, Some(made), "{}")]));
    let run = &document["activity"][format!("larder:run-{}", id(1))];
    let values = ["environment.n", "recorded.n", "param.n"]
        .map(|name| run[format!("larder:{name}")]["$"].as_str());
    assert_eq!((values, &run["larder:salt"]), ([Some("1"), Some("2"), Some("3")], &json!("n")));
}

#[test]
fn prov_keeps_the_whole_provenance() {
    let lineage = hostile();
    let document = prov(&lineage);
    let text = &document["activity"][format!("larder:run-{}", id(0))]["larder:provenance"];
    let provenance = Provenance::from_json(text.as_str().unwrap()).unwrap();
    assert_eq!(Some(provenance), lineage.records[0].record.provenance);
}

#[test]
fn the_order_of_records_makes_no_difference() {
    let lineage = random(40, 10);
    let mut turned = lineage.clone();
    turned.records.reverse();
    // The inputs of one record keep theirs.
    turned.edges.sort_by_key(|edge| std::cmp::Reverse(edge.child));
    assert_ne!(turned, lineage);
    assert_eq!(turned.to_dot(), lineage.to_dot());
    assert_eq!(turned.to_svg(), lineage.to_svg());
    assert_eq!(turned.to_prov_json(), lineage.to_prov_json());
}

#[test]
fn a_record_that_is_there_twice_is_drawn_once() {
    let mut lineage = Lineage::from_iter([made(1, "first", &[])]);
    lineage.records.push(made(1, "second", &[]));
    assert_eq!(lineage.to_svg().matches("<g><title>first").count(), 1);
    assert!(!lineage.to_dot().contains("second"));
}

#[test]
fn an_edge_to_what_is_in_no_record_derives_and_runs_nothing() {
    let mut lineage = small();
    lineage.records.clear();
    let document = prov(&lineage);
    assert_eq!(document["entity"].as_object().unwrap().len(), 4);
    assert_eq!(document["wasDerivedFrom"].as_object().unwrap().len(), 3);
    for empty in ["activity", "used", "wasGeneratedBy"] {
        assert_eq!(document[empty], json!({}));
    }
    assert_eq!(lineage.to_svg().matches(">missing</text>").count(), 3 + 1);
}

#[test]
fn no_text_leaves_its_string_in_dot() {
    let skeleton = without_strings(&hostile().to_dot());
    let body: Vec<&str> = skeleton.lines().skip(4).collect();
    let node = "  \"\" [label=\"\", tooltip=\"\"];";
    let missing = "  \"\" [label=\"\", tooltip=\"\", style=dotted, fontcolor=\"\"];";
    assert_eq!(body, [node, missing, node, "  \"\" -> \"\" [label=\"\"];", "}"]);
}

/// DOT with all of its strings emptied.
fn without_strings(dot: &str) -> String {
    let (mut out, mut characters, mut is_inside) = (String::new(), dot.chars(), false);
    while let Some(character) = characters.next() {
        match character {
            '"' => is_inside = !is_inside,
            '\\' if is_inside => assert!(characters.next().is_some_and(|c| "\\\"n".contains(c))),
            _ => {}
        }
        if !is_inside || character == '"' {
            out.push(character);
        }
    }
    assert!(!is_inside);
    out
}

#[test]
fn svg_is_well_formed() {
    for lineage in [Lineage::default(), small(), hostile(), cyclic(), random(60, 12)] {
        let svg = lineage.to_svg();
        assert!(!svg.chars().any(|c| c.is_control() && c != '\n'), "{svg:?}");
        let mut open = Vec::new();
        for part in svg.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap();
            assert!(!text.contains('>') && tag.matches('"').count().is_multiple_of(2), "{part}");
            let entities = ["&amp;", "&lt;", "&gt;", "&quot;"];
            assert_eq!(
                part.matches('&').count(),
                entities.map(|e| part.matches(e).count()).iter().sum::<usize>()
            );
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{part}"),
                None if tag.ends_with('/') => {}
                None => open.push(tag.split(' ').next().unwrap()),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}

#[test]
fn what_is_too_long_is_in_the_title() {
    let name = "a name that goes on and on ".repeat(9);
    let provenance = Provenance::new(&*name).input_as(&*name, id(0));
    let svg = Lineage::from_iter([record(1, Some(provenance), "{}")]).to_svg();
    assert_eq!(svg.matches(&format!("<title>{name}")).count(), 2);
    assert_eq!(svg.matches("…</text>").count(), 2);
    assert!(!svg.contains(&format!("{name}</text>")));
}

#[test]
fn a_legend_is_there_where_frames_differ() {
    let legend = |lineage: &Lineage| {
        let svg = lineage.to_svg();
        ["content", "live", "doubtful", "collected", "invalid"].map(|state| {
            svg.contains(&format!(">{state}</text>\n<rect"))
                || svg.ends_with(&format!(">{state}</text>\n</svg>\n"))
        })
    };
    let mut lineage = Lineage::from_iter([made(1, "a", &[]), made(2, "b", &[])]);
    assert_eq!(legend(&lineage), [false; 5]);
    lineage.records[0].record.state = State::Invalid;
    assert_eq!(legend(&lineage), [false, true, false, false, true]);
}

#[test]
fn a_thousand_records_are_all_drawn() {
    let lineage = random(1000, 60);
    let svg = lineage.to_svg();
    assert_eq!(svg.matches("<g><title>").count(), 1000);
    assert_eq!(svg.matches("<path ").count(), lineage.edges.len());
    let deep = (0..5000).map(|number| made(number, "step", number.checked_sub(1).as_slice()));
    assert_eq!(deep.collect::<Lineage>().to_svg().matches("<path ").count(), 4999);
}
