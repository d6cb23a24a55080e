//! The `prov` package, which has the model of the W3C, and an XML parser read how Larder tells where results come from.

use std::{fs::File, io::Write};

use larder::{
    provenance::{Id, Lineage, LineageRecord, Provenance, ProvenanceStore, Value},
    storage::Digest,
};
use serde_json::json;

use super::run;

/// What nothing that it is written into may take for its own.
const AWKWARD: &str = "</title>\"]]>\\N&amp;{'}%2F:染\u{1}\n\\";

/// Reads a document of PROV-JSON, in which nothing may be out of order, and a drawing; prints what is there.
const PROGRAM: &str = r#"
import collections, json, sys, warnings, xml.etree.ElementTree
warnings.simplefilter("error")
import prov.model

document = prov.model.ProvDocument.deserialize(sys.argv[1], format="json")
for form in ["json", "provn"]:
    again = prov.model.ProvDocument.deserialize(content=document.serialize(format=form), format=form)
    assert again == document, form
assert document.unified() == document

records = list(document.get_records())
named = {str(record.identifier) for record in records if record.identifier}
relations = [record for record in records if record.is_relation()]
for relation in relations:
    for attribute, value in relation.formal_attributes:
        is_named = attribute.localpart == "time" or str(value) in named
        assert value is None or is_named, (relation, attribute, value)

runs = [record for record in records if isinstance(record, prov.model.ProvActivity)]
run = next(run for run in runs if run.label == sys.argv[3])
svg = xml.etree.ElementTree.parse(sys.argv[2]).getroot()
space = "{http://www.w3.org/2000/svg}"
print(json.dumps({
    "counts": collections.Counter(record.get_type().localpart for record in records),
    "roles": sorted(str(role) for relation in relations for role in relation.get_attribute("prov:role")),
    "times": sum(bool(record.get_attribute("prov:time")) for record in relations),
    "run": sum(bool(record.get_attribute("prov:activity")) for record in relations),
    "params": {str(name): repr(value) for name, value in run.attributes if ":param." in str(name)},
    "titles": [title.text for title in svg.findall(f"{space}g/{space}title")],
    "edges": len(svg.findall(f"{space}g/{space}path")),
}))
"#;

#[test]
fn prov_and_an_xml_parser_read_a_lineage() {
    let (lineage, ids) = lineage();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    };
    let document = file("lineage.json", lineage.to_prov_json());
    let drawing = file("lineage.svg", lineage.to_svg());
    let Some(seen) = run("prov", PROGRAM, &[&document, &drawing, "odd".as_ref()]) else { return };

    // Four records, a content, and an id that is in no record.
    let counts =
        json!({ "Entity": 6, "Activity": 3, "Generation": 4, "Usage": 6, "Derivation": 6 });
    assert_eq!(seen["counts"], counts);
    assert_eq!(seen["times"], 4);
    // All but the generation of what was stored without provenance.
    assert_eq!(seen["run"], 15);
    assert_eq!(seen["roles"], json!([AWKWARD, "background", "signal"]));
    assert_eq!(
        seen["params"],
        json!({
            "larder:param.flag": "True",
            "larder:param.float": "0.1",
            "larder:param.int": "-3",
            "larder:param.large": "18446744073709551615",
            "larder:param.list": "<Literal: \"[1,2]\" %% larder:value>",
            "larder:param.a%20b%2E": "'text'",
        })
    );
    assert_eq!(seen["edges"], 6);
    let titles: Vec<&str> =
        seen["titles"].as_array().unwrap().iter().flat_map(|title| title.as_str()).collect();
    assert_eq!(titles.len(), 6);
    assert!(ids.iter().all(|id| titles.iter().any(|title| title.contains(&id.to_string()))));
    let shown = AWKWARD.replace(['\u{1}', '\n'], "\u{fffd}");
    assert!(titles.iter().any(|title| title.starts_with(&shown)), "{titles:?}");
}

/// A lineage, and the ids of all that is in it.
fn lineage() -> (Lineage, Vec<Id>) {
    let store = ProvenanceStore::<Vec<u8>>::in_memory();
    let put = |payload: &str, made: Option<Provenance>| {
        store.put(payload.as_bytes().to_vec(), made).unwrap()
    };
    let missing = put("left out below", None);
    let raw = put("raw", None);
    let odd = Provenance::new("odd")
        .unordered_inputs([raw, raw])
        .param("flag", true)
        .param("int", -3)
        .param("large", u64::MAX)
        .param("float", 0.1)
        .param("list", Value::list([1, 2]))
        .param("a b.", "text");
    let odd = put("odd", Some(odd));
    let subtract =
        Provenance::new("subtract").input_as("signal", odd).input_as("background", missing);
    let subtract = put("difference", Some(subtract));
    let awkward = Provenance::new(AWKWARD)
        .input_as(AWKWARD, Digest::of(b"a file"))
        .input(subtract)
        .param(AWKWARD, AWKWARD);
    let awkward = put("awkward", Some(awkward));
    let listed = store.list().map(Result::unwrap).filter(|record| record.id != missing);
    let records = listed.map(LineageRecord::new);
    (records.collect(), vec![raw, odd, missing, subtract, awkward])
}
