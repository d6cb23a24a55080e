//! A lineage in the terms of the W3C, for other programs.

use larder_storage::time::utc;
use serde_json::{Map, Value as Json, json};

use super::{Edge, Graph, Lineage, LineageRecord, node::Node};
use crate::{Provenance, Source, Value, value::json::to_json};

/// What the prefix `larder` stands for in [`Lineage::to_prov_json`].
pub const PROV_NAMESPACE: &str = "urn:larder:provenance:";

impl Lineage {
    /// The graph as [PROV-JSON](https://www.w3.org/submissions/prov-json/), indented.
    ///
    /// | PROV | stands for | named |
    /// |---|---|---|
    /// | `entity` | a record | `larder:record-<id>` |
    /// | | content outside every store | `larder:content-<digest>` |
    /// | | an id that is in no record, with the state `missing` | `larder:record-<id>` |
    /// | `activity` | the run of an operation that made a record | `larder:run-<id of the record>` |
    /// | `wasGeneratedBy` | when a record was made, and by which run | |
    /// | `used` | an input of a run, with its role | |
    /// | `wasDerivedFrom` | an edge | |
    ///
    /// A parameter is an attribute `larder:param.<name>` of the run, or `larder:recorded.<name>` where it is no part of the
    /// key, and what the result depends on of the machine is `larder:environment.<name>`. What XML Schema has no type for, which is null, lists
    /// and maps, has the type `larder:value` and the text of its [JSON form](Provenance::to_json); in names, all but
    /// ASCII letters, digits, `_`, `-` and inner `.` is percent-encoded. The attribute `larder:provenance` has the whole
    /// provenance, lossless.
    ///
    /// ```
    /// use larder_provenance::Lineage;
    ///
    /// let prov: serde_json::Value = serde_json::from_str(&Lineage::default().to_prov_json()).unwrap();
    /// assert_eq!(prov["prefix"]["larder"], larder_provenance::PROV_NAMESPACE);
    /// ```
    pub fn to_prov_json(&self) -> String {
        let graph = Graph::new(self);
        let runs = || graph.nodes.iter().filter_map(|node| Some((node, node.provenance()?)));
        let entities = graph.nodes.iter().map(|node| (entity(node), describe(node)));
        let activities = runs().map(|(node, provenance)| (run(node), activity(provenance)));
        let generations = graph.nodes.iter().filter_map(generation);
        let made = graph.edges.iter().filter(|edge| graph.nodes[edge.to].provenance().is_some());
        let document = json!({
            "prefix": { "larder": PROV_NAMESPACE, "xsd": "http://www.w3.org/2001/XMLSchema#" },
            "entity": entities.collect::<Map<_, _>>(),
            "activity": activities.collect::<Map<_, _>>(),
            "wasGeneratedBy": relations("g", generations),
            "used": relations("u", made.map(|edge| usage(&graph, edge))),
            "wasDerivedFrom": relations("d", graph.edges.iter().map(|edge| derivation(&graph, edge))),
        });
        format!("{document:#}\n")
    }
}

fn entity(node: &Node<'_>) -> String {
    match node.source {
        Source::Record(id) => format!("larder:record-{id}"),
        Source::Content(digest) => format!("larder:content-{digest}"),
    }
}

/// The activity that made a record.
fn run(node: &Node<'_>) -> String {
    format!("larder:run-{}", node.id())
}

fn describe(node: &Node<'_>) -> Json {
    let Some(LineageRecord { record, label, .. }) = node.record else {
        return json!({ "prov:type": name("larder:Entity"), "larder:state": node.status().as_str() });
    };
    let mut attributes = json!({
        "prov:type": name("larder:Record"),
        "larder:kind": record.kind,
        "larder:state": node.status().as_str(),
        "larder:payload": record.payload.to_string(),
        "larder:payloadLength": typed(&Value::from(record.payload_len)),
        "larder:summary": record.summary,
    });
    if let Some(label) = label {
        attributes["prov:label"] = json!(label);
    }
    attributes
}

fn activity(provenance: &Provenance) -> Json {
    let mut attributes = json!({
        "prov:type": name("larder:Run"),
        "prov:label": provenance.operation(),
        "larder:operation": provenance.operation(),
        "larder:key": provenance.digest().to_string(),
        "larder:provenance": provenance.to_json(),
    });
    if let Some(version) = provenance.code_version() {
        attributes["larder:version"] = json!(version);
    }
    if let Some(salt) = provenance.salt_text() {
        attributes["larder:salt"] = json!(salt);
    }
    let named = [
        ("param", provenance.params()),
        ("environment", provenance.environment_items()),
        ("recorded", provenance.recorded_params()),
    ];
    for (group, values) in named {
        for (name, value) in values {
            attributes[format!("larder:{group}.{}", encode(name))] = typed(value);
        }
    }
    attributes
}

fn generation(node: &Node<'_>) -> Option<Json> {
    let time = utc(node.record?.record.created_at, 6);
    let mut relation = json!({ "prov:entity": entity(node), "prov:time": time });
    if node.provenance().is_some() {
        relation["prov:activity"] = json!(run(node));
    }
    Some(relation)
}

fn usage(graph: &Graph<'_>, edge: &Edge<'_>) -> Json {
    let (from, to) = (&graph.nodes[edge.from], &graph.nodes[edge.to]);
    let mut relation = json!({ "prov:activity": run(to), "prov:entity": entity(from) });
    if let Some(role) = edge.role {
        relation["prov:role"] = json!(role);
    }
    relation
}

fn derivation(graph: &Graph<'_>, edge: &Edge<'_>) -> Json {
    let (from, to) = (&graph.nodes[edge.from], &graph.nodes[edge.to]);
    let mut relation =
        json!({ "prov:generatedEntity": entity(to), "prov:usedEntity": entity(from) });
    if to.provenance().is_some() {
        relation["prov:activity"] = json!(run(to));
    }
    relation
}

/// Relations, which need names in JSON and have none in PROV.
fn relations(prefix: &str, relations: impl Iterator<Item = Json>) -> Map<String, Json> {
    let named = |(number, relation): (u64, _)| (format!("_:{prefix}{number}"), relation);
    (1..).zip(relations).map(named).collect()
}

fn name(name: &str) -> Json {
    json!({ "$": name, "type": "xsd:QName" })
}

/// A value with its type, exact.
fn typed(value: &Value) -> Json {
    let (text, kind) = match value {
        Value::Text(text) => return json!(text),
        Value::Bool(value) => (value.to_string(), "xsd:boolean"),
        Value::Int(value) => (value.to_string(), integer(*value)),
        Value::Float(value) => (double(*value), "xsd:double"),
        Value::Bytes(bytes) => {
            (bytes.iter().map(|byte| format!("{byte:02X}")).collect(), "xsd:hexBinary")
        }
        Value::Null | Value::List(_) | Value::Map(_) => {
            (to_json(value).to_string(), "larder:value")
        }
    };
    json!({ "$": text, "type": kind })
}

/// The narrowest of the types that are in use for integers.
fn integer(value: i128) -> &'static str {
    match value {
        _ if i32::try_from(value).is_ok() => "xsd:int",
        _ if i64::try_from(value).is_ok() => "xsd:long",
        _ => "xsd:integer",
    }
}

/// A float as XML Schema writes it.
fn double(value: f64) -> String {
    match value {
        f64::INFINITY => "INF".to_owned(),
        f64::NEG_INFINITY => "-INF".to_owned(),
        _ => format!("{value:?}"),
    }
}

/// The name of a parameter as a part of a qualified name.
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        let is_inner = index > 0 && index + 1 < name.len();
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-' => encoded.push(char::from(byte)),
            b'.' if is_inner => encoded.push('.'),
            other => encoded += &format!("%{other:02X}"),
        }
    }
    encoded
}
