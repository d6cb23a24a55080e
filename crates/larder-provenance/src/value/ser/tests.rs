use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::{Serialize, ser::SerializeMap as _};

use super::*;
use crate::Provenance;

#[derive(Serialize)]
struct Meters(f64);

#[derive(Serialize)]
struct Empty;

#[derive(Serialize)]
struct Pair(u8, char);

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Shape {
    Flat,
    Round(f32),
    Box(u8, u8),
    Named { sides: i64 },
}

struct Raw(&'static [u8]);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// A map with one name twice, as two flattened structs can make it.
struct Twice;

impl Serialize for Twice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("a", &1)?;
        map.serialize_entry("a", &2)?;
        map.end()
    }
}

struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("no\nway"))
    }
}

/// Nests in itself by options and newtypes alone.
#[derive(Serialize)]
struct Chain(Option<Box<Chain>>);

/// Nests in itself without end.
struct Endless;

impl Serialize for Endless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq([Endless])
    }
}

fn of(value: impl Serialize) -> Value {
    Value::of(&value).unwrap()
}

fn refused(value: impl Serialize) -> String {
    let error = Value::of(&value).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let line = error.to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

#[test]
fn each_type_has_its_value() {
    let cases = [
        (of(()), Value::Null),
        (of(Empty), Value::Null),
        (of(None::<u8>), Value::Null),
        (of(Some(7)), Value::Int(7)),
        (of(true), Value::Bool(true)),
        (of(-7_i8), Value::Int(-7)),
        (of(u64::MAX), Value::Int(u64::MAX.into())),
        (of(i128::MIN), Value::Int(i128::MIN)),
        (of(i128::MAX as u128), Value::Int(i128::MAX)),
        (of(0.1_f32), Value::Float(0.1_f32.into())),
        (of(-0.0), Value::Float(-0.0)),
        (of(f64::NAN), Value::Float(f64::NAN)),
        (of(f32::NEG_INFINITY), Value::Float(f64::NEG_INFINITY)),
        (of('é'), "é".into()),
        (of("text"), "text".into()),
        (of(Raw(&[0, 255])), Value::bytes([0, 255])),
        (of([0_u8, 255]), Value::list([0, 255])),
        (of(Meters(1.0)), Value::Float(1.0)),
        (of(Pair(1, 'b')), Value::List(vec![Value::Int(1), "b".into()])),
        (of((1, "b")), Value::List(vec![Value::Int(1), "b".into()])),
        (of(Shape::Flat), "flat".into()),
        (of(Shape::Round(0.5)), Value::map([("round", 0.5)])),
        (of(Shape::Box(1, 2)), Value::map([("box", Value::list([1, 2]))])),
        (of(Shape::Named { sides: 3 }), Value::map([("named", Value::map([("sides", 3)]))])),
        (of(HashMap::from([("b", 1), ("a", 2)])), Value::map([("a", 2), ("b", 1)])),
        (of(BTreeMap::from([('b', ())])), Value::map([("b", Value::Null)])),
    ];
    for (made, expected) in cases {
        assert_eq!(made, expected);
    }
}

#[test]
fn what_has_no_value_of_its_own_is_refused_by_name() {
    let above = i128::MAX as u128 + 1;
    assert!(refused(above).starts_with(&format!("it cannot be a parameter: {above} is more than")));
    assert!(refused(Some(())).contains("looks like none"));
    assert!(refused(Some(None::<u8>)).contains("looks like none"));
    assert!(refused(BTreeMap::from([(1, 2)])).contains("the name 1 in a map is not a text"));
    assert!(refused(BTreeMap::from([(true, 2)])).contains("the name true"));
    assert!(refused(Twice).starts_with("\"a\" cannot be a parameter: this name is there twice"));
    assert!(refused(Fails).ends_with("no way"));
    let inside = BTreeMap::from([("layers", vec![(1, Ok(1)), (2, Err(Fails))])]);
    assert!(refused(&inside).starts_with("\"layers.1.1.Err\" cannot be a parameter: no way"));
}

#[test]
fn what_nests_too_deep_is_refused_and_the_deepest_is_taken() {
    let nest = |levels| (0..levels).fold(Chain(None), |chain, _| Chain(Some(Box::new(chain))));
    assert!(refused(nest(20_000)).contains("nests more than 32 levels deep"));
    assert!(refused(Endless).contains("nests more than 32 levels deep"));

    let nest = |levels| (0..levels).fold(serde_json::json!(7), |value, _| [value].into());
    let deepest = of(nest(Value::MAX_DEPTH));
    assert!(deepest.is_deeper_than(Value::MAX_DEPTH - 1));
    assert!(refused(nest(Value::MAX_DEPTH + 1)).contains("nests more than"));

    // Each field of a struct may be as deep, and what was taken can be stored.
    let fields = BTreeMap::from([("deep", nest(Value::MAX_DEPTH))]);
    let made = Provenance::new("op").params_of(&fields).unwrap();
    assert_eq!(made.params()["deep"], deepest);
    made.check().unwrap();
}

#[test]
fn a_variant_counts_as_the_map_that_it_becomes() {
    for shape in [Shape::Box(1, 2), Shape::Named { sides: 3 }] {
        assert!(!to_value(&shape, 2).unwrap().is_deeper_than(2));
        assert!(to_value(&shape, 1).is_err());
    }
    assert!(to_value(&Shape::Round(1.0), 1).is_ok() && to_value(&Shape::Round(1.0), 0).is_err());
}

#[test]
fn only_what_has_fields_is_parameters() {
    for error in [
        Provenance::new("op").params_of(&7).unwrap_err(),
        Provenance::new("op").params_of(&Shape::Flat).unwrap_err(),
        Provenance::new("op").params_of(&[("a", 1)]).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().ends_with("give a struct or a map"), "{error}");
    }
    let made = Provenance::new("op").param("a", 1).param("b", 1);
    let made = made.params_of(&BTreeMap::from([("a", 2.0)])).unwrap();
    assert_eq!(made, Provenance::new("op").param("a", 2.0).param("b", 1));
}

proptest! {
    #[test]
    fn numbers_and_texts_keep_every_bit(int in any::<i128>(), float in any::<f64>(), text in ".*") {
        let values = of((int, float, &text));
        prop_assert_eq!(values, Value::List(vec![int.into(), float.into(), text.into()]));
    }
}
