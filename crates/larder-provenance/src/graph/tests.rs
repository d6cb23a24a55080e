use larder_storage::{Digest, time};

use super::*;

/// The id that ends with this number.
fn id(number: u32) -> Id {
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
    LineageRecord::new(record, State::Live)
}

fn made(number: u32, operation: &str, inputs: &[u32]) -> LineageRecord {
    let provenance =
        inputs.iter().fold(Provenance::new(operation), |made, input| made.input(id(*input)));
    record(number, Some(provenance), "{}")
}

fn chain(count: u32) -> Lineage {
    (0..count).map(|n| made(n, "step", n.checked_sub(1).as_slice())).collect()
}

fn diamond() -> Lineage {
    let signal = Digest::of(b"signal");
    let import =
        Provenance::new("import track").version("3").input_as("file", signal).param("name", "ChIP");
    let subtract = Provenance::new("subtract")
        .input_as("signal", id(1))
        .input_as("background", id(2))
        .param("window", 500);
    let mut lineage: Lineage = [
        record(0, Some(import), r#"{"label": "ChIP <H3K27ac> & \"input\""}"#),
        made(1, "smooth", &[0]),
        made(2, "shuffle", &[0]),
        record(3, Some(subtract), r#"{"label": "difference"}"#),
        made(4, "call peaks", &[3, 90]),
        record(5, None, r#"{"name": "sacCer3"}"#),
        made(6, "intersect", &[4, 5]),
    ]
    .into_iter()
    .collect();
    for (place, state) in [(1, State::Collected), (2, State::Invalid), (3, State::Doubtful)] {
        lineage.records[place].state = state;
    }
    lineage
}

fn fan(count: u32) -> Lineage {
    let rays = (1..=count).map(|n| made(n, &format!("window {n}"), &[0]));
    let all: Vec<u32> = (1..=count).collect();
    [record(0, None, "{}")]
        .into_iter()
        .chain(rays)
        .chain([made(count + 1, "merge", &all)])
        .collect()
}

/// A graph in which each node has up to three of the `reach` nodes before it as inputs.
fn random(count: u32, reach: u32) -> Lineage {
    let mut state = 7_u32;
    let mut draw = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    (0..count)
        .map(|n| {
            let inputs: Vec<u32> =
                (0..draw(4)).filter_map(|_| n.checked_sub(1 + draw(reach))).collect();
            made(n, ["map", "filter", "normalise by the median", "join"][draw(4) as usize], &inputs)
        })
        .collect()
}

/// What only damaged data hold.
fn cyclic() -> Lineage {
    [made(0, "first", &[2]), made(1, "second", &[0]), made(2, "third", &[1, 2])]
        .into_iter()
        .collect()
}

const HOSTILE: &str = "</svg>\"]]>\\n&amp;\u{0}\u{202e}\n\\";

fn hostile() -> Lineage {
    let long = "a name that goes on and on ".repeat(20);
    let provenance = Provenance::new(HOSTILE).input_as(HOSTILE, id(1)).param(HOSTILE, HOSTILE);
    let other = Provenance::new(long.as_str()).input_as(long.as_str(), id(0));
    let wide = serde_json::json!({ "label": "染色体".repeat(20) }).to_string();
    [record(0, Some(provenance), &wide), record(2, Some(other), "no JSON")].into_iter().collect()
}
