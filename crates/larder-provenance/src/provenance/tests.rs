use proptest::prelude::*;

use super::*;
use crate::encoding::encode;

fn id(n: u8) -> Id {
    Id::from_bytes([n; 16])
}

fn content(n: u8) -> Digest {
    Digest::from([n; 32])
}

/// One of each form that the encoding and the JSON know.
fn rich() -> Provenance {
    let nested = Value::map([("b", Value::list([1.5, -0.0])), ("a", Value::Null)]);
    Provenance::new("call.peaks")
        .version("2.1")
        .input(id(1))
        .input_as("control", content(2))
        .param("window", 500)
        .param("exact", true)
        .param("huge", i128::MAX)
        .param("unsigned", u64::MAX)
        .param("rate", 0.1)
        .param("whole", 1.0)
        .param("nan", f64::NAN)
        .param("least", f64::NEG_INFINITY)
        .param("label", "r\u{e9}gion \"\n")
        .param("mask", Value::bytes([0, 255]))
        .param("nested", nested)
}

#[test]
fn the_order_of_inputs_counts_unless_it_is_said_not_to() {
    let subtract = |a, b| Provenance::new("subtract").input(id(a)).input(id(b));
    assert_ne!(subtract(1, 2).digest(), subtract(2, 1).digest());

    let sum = |ids: &[u8]| Provenance::new("sum").unordered_inputs(ids.iter().map(|n| id(*n)));
    assert_eq!(sum(&[1, 2, 3]).digest(), sum(&[3, 1, 2]).digest());
    assert_eq!(sum(&[1, 2]), sum(&[2]).input(id(1)));
    assert_ne!(sum(&[1, 1]).digest(), sum(&[1]).digest());
    assert_ne!(sum(&[1, 2]).digest(), Provenance::new("sum").input(id(1)).input(id(2)).digest());
}

#[test]
fn each_part_counts() {
    let base = || Provenance::new("op").input(id(1)).param("n", 1);
    let others = [
        Provenance::new("oq").input(id(1)).param("n", 1),
        base().version(""),
        base().salt(""),
        base().salt("1"),
        base().environment("n", 1),
        base().environment("n", 1.0),
        base().environment("n", 1).param("n", 1).salt("1"),
        base().version("1"),
        base().input(id(1)),
        base().param("n", 1.0),
        base().param("n", "1"),
        base().param("m", Value::Null),
        Provenance::new("op").input_as("", id(1)).param("n", 1),
        Provenance::new("op").input(content(1)).param("n", 1),
        Provenance::new("op").input(id(1)).param("N", 1),
        Provenance::new("op").input(id(1)),
    ];
    for other in others {
        assert_ne!(other.digest(), base().digest(), "{other:?}");
    }
    assert_eq!(base().param("n", 7).param("n", 1).digest(), base().digest());
    assert_ne!(Provenance::new("op").environment("n", 1).input(id(1)).digest(), base().digest());
}

#[test]
fn what_is_only_recorded_is_no_part_of_the_key() {
    let base = || Provenance::new("op").param("n", 1);
    let recorded = base().recorded("threads", 8).recorded("n", 2);
    assert_eq!(recorded.digest(), base().digest());
    assert_ne!(recorded, base());
    let read = Provenance::from_json(&recorded.to_json()).unwrap();
    assert_eq!(read.recorded_params()["threads"], Value::from(8));
    assert_eq!(read, recorded);
}

#[test]
fn is_encoded_as_documented() {
    let made = Provenance::new("op")
        .version("2")
        .environment("cc", "9")
        .salt("s")
        .input(id(7))
        .input_as("r", content(9))
        .param("n", -2)
        .param("f", 1.5);
    let mut expected = Vec::new();
    expected.extend(b"OT\x02\0\0\0\0\0\0\0op");
    expected.extend(b"VT\x01\0\0\0\0\0\0\x002");
    expected.extend(b"EM\x01\0\0\0\0\0\0\0");
    expected.extend(b"T\x02\0\0\0\0\0\0\0ccT\x01\0\0\0\0\0\0\x009");
    expected.extend(b"ST\x01\0\0\0\0\0\0\0s");
    expected.extend(b"I\x02\0\0\0\0\0\0\0");
    expected.extend(b"NR");
    expected.extend([7; 16]);
    expected.extend(b"T\x01\0\0\0\0\0\0\0rC");
    expected.extend([9; 32]);
    expected.extend(b"PM\x02\0\0\0\0\0\0\0");
    expected.extend(b"T\x01\0\0\0\0\0\0\0fD\0\0\0\0\0\0\xf8\x3f");
    expected.extend(
        b"T\x01\0\0\0\0\0\0\0nZ\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    );
    assert_eq!(encode(&made), expected);
}

#[test]
fn keys_never_change() {
    let golden: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../testdata/keys.json")).unwrap();
    assert_eq!(golden.len(), 15);
    for vector in golden {
        let made = Provenance::from_json(&vector["provenance"].to_string()).unwrap();
        let encoding: String = encode(&made).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(vector["encoding"], encoding, "{}", vector["about"]);
        assert_eq!(vector["key"], made.digest().to_string(), "{}", vector["about"]);
        assert_eq!(vector["about"] == "one of each kind of value", made == rich());
    }
}

#[test]
fn the_json_form_never_changes() {
    let text = concat!(
        r#"{"format":1,"inputs":[{"id":"01010101-0101-0101-0101-010101010101"},{"#,
        r#""content":"0202020202020202020202020202020202020202020202020202020202020202","role":"control"}],"#,
        r#""operation":"call.peaks","ordered":true,"params":{"exact":true,"#,
        r#""huge":{"int":"170141183460469231731687303715884105727"},"label":"région \"\n","least":{"float":"-inf"},"#,
        r#""mask":{"bytes":"00ff"},"nan":{"float":"nan"},"nested":{"map":{"a":null,"b":[1.5,-0.0]}},"rate":0.1,"#,
        r#""unsigned":18446744073709551615,"whole":1.0,"window":500},"version":"2.1"}"#
    );
    assert_eq!(rich().to_json(), text);
    assert_eq!(Provenance::from_json(text).unwrap(), rich());

    let more = Provenance::new("o").environment("cc", 9).salt("s").recorded("threads", 8);
    let text = concat!(
        r#"{"environment":{"cc":9},"format":1,"inputs":[],"operation":"o","ordered":true,"params":{},"#,
        r#""recorded":{"threads":8},"salt":"s"}"#
    );
    assert_eq!(more.to_json(), text);
}

#[test]
fn other_json_is_refused() {
    let with = |inputs: &str, params: &str| {
        format!(
            r#"{{"format":1,"operation":"o","ordered":true,"inputs":[{inputs}],"params":{{{params}}}}}"#
        )
    };
    assert!(Provenance::from_json(&with("", "")).is_ok());
    let bad = [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        with("{}", ""),
        with(r#"{"id":"x"}"#, ""),
        with(r#"{"content":"x"}"#, ""),
        with("", r#""p":{}"#),
        with("", r#""p":{"float":"1"}"#),
        with("", r#""p":{"bytes":"0"}"#),
        with("", r#""p":{"bytes":"+1"}"#),
        with("", r#""p":{"odd":1}"#),
        with("", "").replace("params", "param"),
        with("", "").replace("{\"format", "{\"enviroment\":{},\"format"),
        with(r#"{"id":"01010101-0101-0101-0101-010101010101","rôle":"r"}"#, ""),
        with("", "").replace("{\"format", "{\"recorded\":{\"p\":{}},\"format"),
    ];
    for text in bad {
        let error = Provenance::from_json(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{text}");
        assert!(!error.to_string().contains("upgrade"), "{text}");
    }
    let newer = with("", "").replace("\"format\":1", "\"format\":2");
    for text in [newer.replace("params", "arguments"), newer] {
        let error = Provenance::from_json(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{text}");
        assert!(error.to_string().ends_with("upgrade Larder"), "{error}");
    }
}

#[test]
fn what_nests_too_deep_is_refused_and_the_deepest_is_kept() {
    let nest = |levels| (0..levels).fold(Value::Null, |value, _| Value::map([("k", value)]));
    let deepest = Provenance::new("op").param("p", nest(Value::MAX_DEPTH));
    deepest.check().unwrap();
    assert_eq!(Provenance::from_json(&deepest.to_json()).unwrap(), deepest);
    let deeper = nest(Value::MAX_DEPTH + 1);
    let places = [Provenance::param, Provenance::environment, Provenance::recorded];
    for place in places {
        let error = place(Provenance::new("op"), "p", deeper.clone()).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("\"p\""), "{error}");
    }
}

/// Small alphabets, so that equal ones and near misses are frequent.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![Just(i128::MIN), Just(i128::from(u64::MAX)), -1..2_i128].prop_map(Value::from),
        prop_oneof![
            Just(0.0),
            Just(-0.0),
            Just(1.0),
            Just(f64::NAN),
            Just(f64::INFINITY),
            any::<f64>()
        ]
        .prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
        prop::collection::vec(0..2_u8, 0..3).prop_map(Value::bytes),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            prop::collection::btree_map("[ab]{0,1}", inner, 0..3).prop_map(Value::Map),
        ]
    })
}

fn provenances() -> impl Strategy<Value = Provenance> {
    let source = prop_oneof![
        (0..3_u8).prop_map(|n| Source::from(id(n))),
        (0..2_u8).prop_map(|n| content(n).into())
    ];
    let inputs = prop::collection::vec((prop::option::of("[ab]{0,1}"), source), 0..3);
    let texts = || prop::option::of("[ab]{0,1}");
    let maps = || prop::collection::btree_map("[ab]{0,1}", values(), 0..3);
    let small = prop::collection::btree_map("[ab]{0,1}", values(), 0..2);
    ("[ab]{0,2}", texts(), small, texts(), any::<bool>(), inputs, maps(), maps()).prop_map(
        |(operation, code_version, environment, salt, ordered, inputs, params, recorded)| {
            let inputs = inputs.into_iter().map(|(role, source)| Input { role, source });
            let mut inputs: Vec<_> = inputs.collect();
            if !ordered {
                inputs.sort();
            }
            Provenance {
                operation,
                code_version,
                environment,
                salt,
                inputs,
                ordered,
                params,
                recorded,
            }
        },
    )
}

/// A few different numbers, and the same in another order.
fn orders() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let items = prop::collection::btree_set(0..9_u8, 0..5);
    items.prop_flat_map(|items| {
        let items = Vec::from_iter(items);
        (Just(items.clone()), Just(items).prop_shuffle())
    })
}

/// `base` with one part of `other`, so that most are near misses; or all of `other`.
fn with_part(base: &Provenance, other: Provenance, part: u8) -> Provenance {
    let base = base.clone();
    match part {
        0 => Provenance { operation: other.operation, ..base },
        1 => Provenance { code_version: other.code_version, ..base },
        2 => Provenance { environment: other.environment, ..base },
        3 => Provenance { salt: other.salt, ..base },
        4 => Provenance { inputs: other.inputs, ordered: other.ordered, ..base },
        5 => Provenance { params: other.params, recorded: other.recorded, ..base },
        _ => other,
    }
}

/// The provenance without what is no part of the key.
fn hashed(provenance: &Provenance) -> Provenance {
    Provenance { recorded: BTreeMap::new(), ..provenance.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn keys_are_equal_exactly_where_provenances_are(a in provenances(), b in provenances(), part in 0..7_u8) {
        let b = with_part(&a, b, part);
        let equal = hashed(&a) == hashed(&b);
        prop_assert_eq!(equal, encode(&a) == encode(&b));
        prop_assert_eq!(equal, a.digest() == b.digest());
        prop_assert_eq!(equal, a.differences(&b).is_empty());
        prop_assert_eq!(a.differences(&b).len(), b.differences(&a).len());
        prop_assert!(a.differences(&b).iter().all(|difference| difference.to_string().lines().count() == 1));
    }

    #[test]
    fn order_counts_exactly_where_it_should(made in provenances(), (items, turned) in orders()) {
        let inputs = |items: &[u8]| items.iter().map(|n| id(n / 2)).collect::<Vec<_>>();
        let ordered = |items| inputs(items).into_iter().fold(made.clone(), Provenance::input);
        let free = |items: &[u8]| made.clone().unordered_inputs(inputs(items));
        let named = |items: &[u8]| items.iter().fold(made.clone(), |made, n| {
            let name = n.to_string();
            made.param(name.as_str(), *n).environment(name.as_str(), *n).recorded(name, *n)
        });
        prop_assert_eq!(free(&items).digest(), free(&turned).digest());
        prop_assert_eq!(named(&items), named(&turned));
        prop_assert_eq!(named(&items).digest(), named(&turned).digest());
        let same = !made.is_ordered() || inputs(&items) == inputs(&turned);
        prop_assert_eq!(ordered(&items).digest() == ordered(&turned).digest(), same);
    }

    #[test]
    fn keys_of_single_values_are_equal_exactly_where_values_are(a in values(), b in values()) {
        let key = |value: &Value| Provenance::new("op").param("p", value.clone()).digest();
        prop_assert_eq!(a == b, key(&a) == key(&b));
    }

    #[test]
    fn the_json_form_is_lossless(made in provenances(), float in any::<f64>(), int in any::<i128>()) {
        let made = made.param("float", float).param("int", int).param("short", int as i64);
        let read = Provenance::from_json(&made.to_json()).unwrap();
        prop_assert_eq!(read.digest(), made.digest());
        prop_assert_eq!(read, made);
    }
}
