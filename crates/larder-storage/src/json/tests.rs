use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use super::*;

fn decode<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json)
}

fn text<T: Serialize + ?Sized>(value: &T) -> String {
    String::from_utf8(encode(value).unwrap()).unwrap()
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Unit;

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Wrapper(f64);

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Pair(f32, u8);

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Shape {
    Point,
    Circle(f64),
    Line(f64, f64),
    Box { wide: f64, high: Option<f32> },
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Everything {
    zeta: u64,
    alpha: i64,
    wide: u128,
    float: f64,
    letter: char,
    text: String,
    flag: bool,
    unit: Unit,
    nothing: Option<u8>,
    wrapper: Wrapper,
    pair: Pair,
    shapes: Vec<Shape>,
    map: BTreeMap<i16, (bool, f64)>,
}

fn everything() -> Everything {
    let shapes = vec![
        Shape::Point,
        Shape::Circle(0.1),
        Shape::Line(-0.0, 5e-324),
        Shape::Box { wide: 1e300, high: Some(f32::MIN_POSITIVE) },
    ];
    Everything {
        zeta: u64::MAX,
        alpha: i64::MIN,
        wide: u128::MAX,
        float: 9_007_199_254_740_993.0,
        letter: 'é',
        text: "a\u{0}\"\\\n".to_owned(),
        flag: true,
        unit: Unit,
        nothing: None,
        wrapper: Wrapper(1.0),
        pair: Pair(0.1, 7),
        shapes,
        map: BTreeMap::from([(-3, (false, 2.5))]),
    }
}

/// The text is pinned: no feature of serde_json that another crate switches on may change it.
#[test]
fn every_kind_of_value_has_one_text_and_comes_back() {
    let expected = concat!(
        r#"{"zeta":18446744073709551615,"alpha":-9223372036854775808,"#,
        r#""wide":340282366920938463463374607431768211455,"float":9007199254740992.0,"letter":"é","#,
        r#""text":"a\u0000\"\\\n","flag":true,"unit":null,"nothing":null,"wrapper":1.0,"pair":[0.1,7],"#,
        r#""shapes":["Point",{"Circle":0.1},{"Line":[-0.0,5e-324]},{"Box":{"wide":1e+300,"high":1.1754944e-38}}],"#,
        r#""map":{"-3":[false,2.5]}}"#
    );
    assert_eq!(text(&everything()), expected);
    assert_eq!(decode::<Everything>(expected.as_bytes()).unwrap(), everything());
    assert_eq!(text(&json!({"a": [1, 2.0, null]})), r#"{"a":[1,2.0,null]}"#);
}

#[test]
fn a_number_that_json_lacks_is_refused_wherever_it_hides() {
    fn refused<T: Serialize + ?Sized>(value: &T) -> bool {
        encode(value).is_err_and(|error| error.chain().to_string().contains("JSON has no number"))
    }
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let high = Some(bad as f32);
        assert!(
            refused(&bad) && refused(&(bad as f32)) && refused(&Some(bad)) && refused(&[1.0, bad])
        );
        assert!(refused(&(1, bad)) && refused(&Wrapper(bad)) && refused(&Pair(bad as f32, 1)));
        assert!(refused(&Shape::Circle(bad)) && refused(&Shape::Line(0.0, bad)));
        assert!(
            refused(&Shape::Box { wide: 1.0, high }) && refused(&BTreeMap::from([(1, vec![bad])]))
        );
        assert!(refused(&Everything { float: bad, ..everything() }));
    }
    let key = BTreeMap::from([("x", HashMap::from([(true, f64::NAN)]))]);
    assert!(refused(&key));
}

#[test]
fn what_could_not_be_read_back_is_refused() {
    let nested = |depth| {
        (0..depth).fold(
            json!(0),
            |inner, level| if level % 2 == 0 { json!([inner]) } else { json!({"a": inner}) },
        )
    };
    let deepest = nested(127);
    assert_eq!(decode::<Value>(&encode(&deepest).unwrap()).unwrap(), deepest);
    assert!(encode(&nested(128)).unwrap_err().chain().to_string().contains("deeper than 127"));
    assert!(encode(&HashMap::from([((1, 2), 3)])).is_err(), "a key that is no text");
}

#[test]
fn text_that_is_json_already_stays_as_it_is() {
    let raw =
        RawValue::from_string("{\"n\": 1e999, \"n\": 123456789012345678901234567890}".to_owned())
            .unwrap();
    assert_eq!(text(&raw), raw.get());
    assert_eq!(decode::<Box<RawValue>>(raw.get().as_bytes()).unwrap().get(), raw.get());
}

proptest! {
    #[test]
    fn numbers_come_back_bit_for_bit(float: f64, single: f32, signed: i64, unsigned: u64, bits: u64) {
        let odd = f64::from_bits(bits);
        prop_assume!(float.is_finite() && single.is_finite() && odd.is_finite());
        let (a, b, c, d, e): (f64, f32, i64, u64, f64) =
            decode(&encode(&(float, single, signed, unsigned, odd)).unwrap()).unwrap();
        prop_assert_eq!((a.to_bits(), b.to_bits(), c, d, e.to_bits()),
            (float.to_bits(), single.to_bits(), signed, unsigned, bits));
    }

    #[test]
    fn text_comes_back(value: String) {
        prop_assert_eq!(decode::<String>(&encode(&value).unwrap()).unwrap(), value);
    }
}
