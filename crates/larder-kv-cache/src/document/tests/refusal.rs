use super::*;

fn refusal(bytes: &[u8]) -> (ErrorKind, String) {
    let error = Document::parse(bytes).unwrap_err();
    (error.kind(), error.to_string())
}

#[track_caller]
fn assert_damaged(bytes: &[u8], what: &str) {
    let (kind, message) = refusal(bytes);
    assert_eq!(kind, ErrorKind::Corrupt);
    let expected =
        format!("the document is damaged: expected {what}: mend it, or let `repair` put it aside");
    assert_eq!(message, expected);
}

#[test]
fn damage_is_told_with_its_place() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "a value, found the end at line 1, column 1 (byte 0)"),
        (b" \n ", "a value, found the end at line 2, column 2 (byte 3)"),
        (&[0; 512], "a value, found '\\0' at line 1, column 1 (byte 0)"),
        ("\u{feff}{}".as_bytes(), "a value, found '\\u{feff}' at line 1, column 1 (byte 0)"),
        (b"\x1f\x8b\x08", "UTF-8 text, found the byte 0x8b at line 1, column 2 (byte 1)"),
        (
            b"{\n \"\xc3\xa9\": \"\xc3\xa9\xc3\"}",
            "UTF-8 text, found the byte 0xc3 at line 2, column 9 (byte 12)",
        ),
        (b"{", "a key in double quotes, found the end at line 1, column 2 (byte 1)"),
        (b"{\"a\": 1,}", "a key in double quotes, found '}' at line 1, column 9 (byte 8)"),
        (b"{a: 1}", "a key in double quotes, found 'a' at line 1, column 2 (byte 1)"),
        (b"{\"a\" 1}", "':', found '1' at line 1, column 6 (byte 5)"),
        (b"{\"a\": }", "a value, found '}' at line 1, column 7 (byte 6)"),
        (b"{\"a\": 1", "',' or '}', found the end at line 1, column 8 (byte 7)"),
        (b"{\"a\": [1}", "',' or ']', found '}' at line 1, column 9 (byte 8)"),
        (b"{\"a\": {\"b\": 1]}", "',' or '}', found ']' at line 1, column 14 (byte 13)"),
        (b"{\"a\": [1,]}", "a value, found ']' at line 1, column 10 (byte 9)"),
        (b"{\"a\": {1: 2}}", "a key in double quotes, found '1' at line 1, column 8 (byte 7)"),
        (b"{\"a\": 1}}", "the end, found '}' at line 1, column 9 (byte 8)"),
        (b"{}{}", "the end, found '{' at line 1, column 3 (byte 2)"),
    ];
    cases.iter().for_each(|(bytes, what)| assert_damaged(bytes, what));
}

#[test]
fn damage_inside_of_a_token_is_told_with_its_place() {
    let cases = [
        ("\"a", "the end of a string, found the end at line 1, column 9 (byte 8)"),
        ("\"\n\"", "no control character in a string, found '\\n' at line 1, column 8 (byte 7)"),
        ("\"\\x\"", "one of \"\\/bfnrtu after a backslash, found 'x' at line 1, column 9 (byte 8)"),
        ("\"\\u12g4\"", "four hexadecimal digits, found 'g' at line 1, column 12 (byte 11)"),
        ("\"\\u+123\"", "four hexadecimal digits, found '+' at line 1, column 10 (byte 9)"),
        ("01", "',' or '}', found '1' at line 1, column 8 (byte 7)"),
        ("1.", "a digit, found the end at line 1, column 9 (byte 8)"),
        ("-x", "a digit, found 'x' at line 1, column 8 (byte 7)"),
        ("1e+", "a digit, found the end at line 1, column 10 (byte 9)"),
        ("+1", "a value, found '+' at line 1, column 7 (byte 6)"),
        (".5", "a value, found '.' at line 1, column 7 (byte 6)"),
        ("nul", "a value, found 'n' at line 1, column 7 (byte 6)"),
        ("nullx", "',' or '}', found 'x' at line 1, column 11 (byte 10)"),
        ("-NaN", "a digit, found 'N' at line 1, column 8 (byte 7)"),
        ("é", "a value, found 'é' at line 1, column 7 (byte 6)"),
    ];
    for (value, what) in cases {
        assert_damaged(format!("{{\"a\": {value}").as_bytes(), what);
    }
}

#[test]
fn every_document_that_was_cut_short_is_damaged() {
    for end in 0..PYTHON.len() {
        assert_eq!(refusal(&PYTHON.as_bytes()[..end]).0, ErrorKind::Corrupt, "cut at {end}");
    }
}

#[test]
fn sound_json_that_is_no_object_is_of_another_format() {
    for other in ["[{\"a\": 1}]", " null\n", "\"{}\"", "-1.5e3", "NaN", "true"] {
        assert_eq!(refusal(other.as_bytes()).0, ErrorKind::Format, "{other}");
    }
    assert_eq!(refusal(b"[1").0, ErrorKind::Corrupt);
}

#[test]
fn a_value_that_is_no_json_text_is_refused_and_changes_nothing() {
    let mut document = parse(PYTHON);
    for json in ["", " 1", "1 ", "1,", "[1", "{\"a\": 1}, \"b\": 2", "'x'"] {
        assert_eq!(document.set("f", json).unwrap_err().kind(), ErrorKind::Invalid, "{json}");
    }
    assert_eq!(text(&document), PYTHON);
    let error = document.set("a\"b", "[1").unwrap_err();
    assert_eq!(
        error.chain().to_string(),
        r#"the value for key "a\"b" is no JSON text: expected ',' or ']', found the end at line 1, column 3 (byte 2)"#
    );
}
