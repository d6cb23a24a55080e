//! Keys of provenances: derived a second time in Python, and of millions of near misses no two are equal.

use std::{collections::BTreeMap, fs};

use larder::provenance::{Id, Input, Options, Provenance, ProvenanceStore, Source, Value};
use larder_storage::Digest;
use serde_json::{Value as Json, json};

use crate::support::{python, repository, text};

/// Reads provenances in their JSON form with their keys, and tells which keys it derives otherwise. It follows the grammar
/// of the module `encoding`, and shares no code with it.
const DERIVE: &str = r#"
import json, struct, sys, uuid
from blake3 import blake3

CONTEXT = "larder-provenance key of a provenance, version 1"
FLOATS = {"nan": 0x7FF8000000000000, "inf": 0x7FF0000000000000, "-inf": 0xFFF0000000000000}

def count(tag, number):
    return tag + struct.pack("<Q", number)

def text(value):
    return count(b"T", len(value.encode())) + value.encode()

def mapping(entries):
    names = sorted(entries, key=str.encode)
    return count(b"M", len(names)) + b"".join(text(name) + value(entries[name]) for name in names)

def value(it):
    match it:
        case None: return b"N"
        case bool(): return b"B" + bytes([it])
        case int(): return b"Z" + it.to_bytes(16, "little", signed=True)
        case float(): return b"D" + struct.pack("<d", it)
        case str(): return text(it)
        case list(): return count(b"L", len(it)) + b"".join(map(value, it))
        case {"int": digits}: return value(int(digits))
        case {"float": name}: return b"D" + struct.pack("<Q", FLOATS[name])
        case {"bytes": digits}: return count(b"Y", len(digits) // 2) + bytes.fromhex(digits)
        case {"map": entries}: return mapping(entries)

def source(it):
    return b"R" + uuid.UUID(it["id"]).bytes if "id" in it else b"C" + bytes.fromhex(it["content"])

def order(it):
    return "role" in it, it.get("role", "").encode(), "content" in it, source(it)

def encode(it):
    inputs = it["inputs"] if it["ordered"] else sorted(it["inputs"], key=order)
    out = b"O" + text(it["operation"])
    out += b"V" + text(it["version"]) if "version" in it else b""
    out += b"E" + mapping(it["environment"]) if "environment" in it else b""
    out += b"S" + text(it["salt"]) if "salt" in it else b""
    out += count(b"I" if it["ordered"] else b"U", len(inputs))
    out += b"".join((text(i["role"]) if "role" in i else b"N") + source(i) for i in inputs)
    return out + b"P" + mapping(it["params"])

checked, wrong = 0, []
for path in sys.argv[1:]:
    for vector in json.load(open(path, encoding="utf-8")):
        encoding = encode(vector["provenance"])
        key = blake3(encoding, derive_key_context=CONTEXT).hexdigest()
        checked += 1
        if key != vector["key"] or encoding.hex() != vector.get("encoding", encoding.hex()):
            wrong.append(vector)
print(json.dumps({"checked": checked, "wrong": wrong}))
"#;

/// How many different provenances [`provenance`] makes.
const TOTAL: u64 = 4 * 4 * 4 * 3 * 16 * 16 * 16 * 16;

/// Has no divisor in common with [`TOTAL`], so its multiples visit all, and the first ones differ in everything.
const STRIDE: u64 = 1_000_003;

fn id(n: u8) -> Id {
    Id::from_bytes([n; 16])
}

/// The number taken apart into one choice for each part, so that no two numbers below [`TOTAL`] make equal ones.
fn provenance(number: u64) -> Provenance {
    let mut rest = number * STRIDE % TOTAL;
    let mut choose = |of: u64| {
        let chosen = rest % of;
        rest /= of;
        chosen as usize
    };
    let made = Provenance::new(["", "o", "op", "oq"][choose(4)]);
    let made = match ["-", "", "1", "11"][choose(4)] {
        "-" => made,
        version => made.version(version),
    };
    let made = match choose(4) {
        0 => made,
        1 => made.environment("a", 0),
        2 => made.environment("a", "0"),
        _ => made.environment("b", 0),
    };
    let made = match ["-", "", "1"][choose(3)] {
        "-" => made,
        salt => made.salt(salt),
    };
    let made = with_inputs(made, choose(16));
    ["a", "b", "ab"].into_iter().fold(made, |made, name| match value(choose(16)) {
        Some(value) => made.param(name, value),
        None => made,
    })
}

fn with_inputs(made: Provenance, which: usize) -> Provenance {
    let (a, b, content) = (id(1), id(2), Digest::from([1; 32]));
    match which {
        0 => made,
        1 => made.input(a),
        2 => made.input(b),
        3 => made.input(a).input(a),
        4 => made.input(a).input(b),
        5 => made.input(b).input(a),
        6 => made.input_as("", a),
        7 => made.input_as("a", a),
        8 => made.input(content),
        9 => made.input(content).input(a),
        10 => made.input(a).input(content),
        11 => made.unordered_inputs::<Id>([]),
        12 => made.unordered_inputs([a]),
        13 => made.unordered_inputs([a, a]),
        14 => made.unordered_inputs([b, a]),
        _ => made.unordered_inputs([a]).input_as("a", b),
    }
}

fn value(which: usize) -> Option<Value> {
    Some(match which {
        0 => return None,
        1 => Value::Null,
        2 => false.into(),
        3 => 0.into(),
        4 => 1.into(),
        5 => 0.0.into(),
        6 => (-0.0).into(),
        7 => f64::NAN.into(),
        8 => "".into(),
        9 => "0".into(),
        10 => Value::bytes([]),
        11 => Value::bytes([0]),
        12 => Value::List(vec![]),
        13 => Value::list([0]),
        14 => Value::Map(BTreeMap::new()),
        _ => Value::map([("a", 0)]),
    })
}

#[test]
fn python_derives_the_same_keys_from_the_grammar_alone() {
    let dir = tempfile::tempdir().unwrap();
    let generated: Vec<Json> = (0..5000)
        .map(provenance)
        .map(|made| {
            let form: Json = serde_json::from_str(&made.to_json()).unwrap();
            json!({"provenance": form, "key": made.digest().to_string()})
        })
        .collect();
    let path = dir.path().join("generated.json");
    fs::write(&path, Json::from(generated).to_string()).unwrap();
    let golden = repository().join("crates/larder-provenance/testdata/keys.json");
    let Some(output) = python("keys in Python", DERIVE, &[&golden, &path]) else { return };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told, json!({"checked": 5015, "wrong": []}));
}

#[test]
fn no_two_of_200_000_provenances_share_a_key() {
    let keys = all_different(200_000);
    // Other processes and machines have to find the same keys, and so does the one that runs this next year.
    let all: Vec<u8> = keys.into_iter().flat_map(u128::to_be_bytes).collect();
    let expected = "c7ba3de551d7ce33036460513b2f4d285ff4195ccb55bf002c7adae5dda02618";
    assert_eq!(Digest::of(&all).to_string(), expected);
}

#[test]
#[ignore = "the same for 12.6 million, in two minutes"]
fn no_two_of_12_million_provenances_share_a_key() {
    all_different(TOTAL);
}

/// The first half of the keys, sorted: two of them would be equal by chance once in 10^24 times.
fn all_different(count: u64) -> Vec<u128> {
    let half = |made: Provenance| {
        let [high, _] = *made.digest().as_bytes().as_chunks::<16>().0 else { unreachable!() };
        u128::from_be_bytes(high)
    };
    let mut keys: Vec<u128> = (0..count).map(|number| half(provenance(number))).collect();
    keys.sort_unstable();
    let shared = keys.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!((keys.len() as u64, shared), (count, 0));
    keys
}

#[test]
fn after_a_restart_equal_provenances_find_their_results() {
    let dir = tempfile::tempdir().unwrap();
    let open = || ProvenanceStore::<Vec<u8>>::open(dir.path(), Options::default()).unwrap();
    // Records that are inputs would have to be there.
    let is_content = |input: &Input| matches!(input.source(), Source::Content(_));
    let made = || (0..).map(provenance).filter(|made| made.inputs().iter().all(is_content));
    let store = open();
    let put = |made| store.put(b"result".to_vec(), Some(made)).unwrap();
    let ids: Vec<Id> = made().take(100).map(put).collect();
    drop(store);
    let store = open();
    for (number, made) in made().take(200).enumerate() {
        let found = store.find(&made.recorded("run", 2)).unwrap();
        assert_eq!(found, ids.get(number).copied(), "{number}");
    }
}
