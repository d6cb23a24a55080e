use larder_storage::Digest;

use super::*;
use crate::Id;

const A: &str = "record 0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";
const B: &str = "record 0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b";
const C: &str = "record 0c0c0c0c-0c0c-0c0c-0c0c-0c0c0c0c0c0c";

fn id(n: u8) -> Id {
    Id::from_bytes([n; 16])
}

fn op() -> Provenance {
    Provenance::new("op")
}

fn lines(was: &Provenance, is: &Provenance) -> Vec<String> {
    was.differences(is).iter().map(ToString::to_string).collect()
}

#[test]
fn each_part_is_named_with_what_it_was_and_is() {
    let cases = [
        (op(), Provenance::new("oq"), "operation: \"op\" -> \"oq\""),
        (op().version("1"), op(), "version: \"1\" -> absent"),
        (op(), op().version(""), "version: absent -> \"\""),
        (op().salt("a"), op().salt("b"), "salt: \"a\" -> \"b\""),
        (op(), op().environment("cc", 9), "environment \"cc\": absent -> 9"),
        (
            op().unordered_inputs([id(10)]),
            op().input(id(10)),
            "order of the inputs: free -> counts",
        ),
        (op(), op().unordered_inputs::<Id>([]), "order of the inputs: counts -> free"),
    ];
    for (was, is, line) in cases {
        assert_eq!(lines(&was, &is), [line]);
    }
}

#[test]
fn values_that_look_alike_are_told_apart() {
    let values = [
        (Value::Null, "null"),
        (Value::from(1), "1"),
        (Value::from(1.0), "1.0"),
        (Value::from("1"), "\"1\""),
        (Value::from(true), "true"),
        (Value::from(0.0), "0.0"),
        (Value::from(-0.0), "-0.0"),
        (Value::from(f64::NAN), r#"{"float":"nan"}"#),
        (Value::bytes("1"), r#"{"bytes":"31"}"#),
        (Value::list([1]), "[1]"),
        (Value::map([("n", 1)]), r#"{"map":{"n":1}}"#),
        (Value::from("a\nb"), r#""a\nb""#),
        (Value::from("e\u{301}"), r#""e\u{301}""#),
        (Value::from("\u{e9}"), "\"\u{e9}\""),
    ];
    for (value, shown) in values {
        let is = op().param("n", value);
        assert_eq!(lines(&op(), &is), [format!("parameter \"n\": absent -> {shown}")]);
        assert_eq!(lines(&is, &op()), [format!("parameter \"n\": {shown} -> absent")]);
        assert_eq!(lines(&is, &is.clone()), [""; 0]);
    }
}

#[test]
fn inputs_are_compared_by_position() {
    let digest = Digest::from([13; 32]);
    let was = op().input(id(10)).input_as("control", id(11)).input(id(12));
    let is = op().input(id(10)).input_as("control", digest);
    assert_eq!(
        lines(&was, &is),
        [
            format!("input 1: \"control\" = {B} -> \"control\" = content {digest}"),
            format!("input 2: {C} -> absent")
        ]
    );
    assert_eq!(lines(&op(), &op().input(id(10))), [format!("input 0: absent -> {A}")]);
    let turned = op().input(id(11)).input(id(10));
    assert_eq!(op().input(id(10)).input(id(11)).differences(&turned).len(), 2);
    assert_eq!(
        lines(&op().input_as("a", id(10)), &op().input_as("b", id(10))),
        [format!("input 0: \"a\" = {A} -> \"b\" = {A}")]
    );
}

#[test]
fn inputs_in_no_order_are_compared_by_what_only_one_has() {
    let sum = |ids: &[u8]| op().unordered_inputs(ids.iter().map(|n| id(*n)));
    assert_eq!(lines(&sum(&[12, 11, 10]), &sum(&[11, 12])), [format!("input: {A} -> absent")]);
    assert_eq!(lines(&sum(&[11, 12]), &sum(&[10, 11, 12])), [format!("input: absent -> {A}")]);
    assert_eq!(lines(&sum(&[11, 11]), &sum(&[11])), [format!("input: {B} -> absent")]);
    assert_eq!(lines(&sum(&[10, 11]), &sum(&[11, 12])), [format!("input: {A} -> {C}")]);

    let with_role = |role, n| sum(&[10]).input_as(role, id(n));
    assert_eq!(
        lines(&with_role("a", 11), &with_role("a", 12)),
        [format!("input: \"a\" = {B} -> \"a\" = {C}")]
    );
    assert_eq!(
        lines(&with_role("a", 11), &with_role("b", 11)),
        [format!("input: \"a\" = {B} -> absent"), format!("input: absent -> \"b\" = {B}")]
    );
}

#[test]
fn a_free_order_and_one_that_counts_are_compared_by_what_only_one_has() {
    let was = op().input(id(12)).input(id(10));
    let is = op().unordered_inputs([id(10), id(11), id(12)]);
    let expected = ["order of the inputs: counts -> free", &format!("input: absent -> {B}")];
    assert_eq!(lines(&was, &is), expected);
}
