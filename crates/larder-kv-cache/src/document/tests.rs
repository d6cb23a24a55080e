use proptest::prelude::*;

use super::*;

mod model;
mod oracle;
mod refusal;

/// As Python's `json.dump(cache, file, indent=2)` wrote it.
const PYTHON: &str = r#"{
  "BRCA2": {
    "gene_symbol": "BRCA2",
    "sequences": [
      {
        "sequence": "MPIGSKER\n",
        "source": "ensembl",
        "accession": null,
        "is_canonical": true
      }
    ],
    "errors": []
  },
  "": [],
  "a:b:c": {},
  "caf\u00e9": "\u00e9\u2028\ud83d\ude00 \"q\" \\ /\u007f",
  "big": 123456789012345678901234567890123456789,
  "f": [
    1.5e-300,
    0.1,
    -0.0,
    1e+22
  ],
  "nan": NaN,
  "inf": [
    Infinity,
    {
      "x": -Infinity
    }
  ],
  "\ud800 key": 1,
  "half": "x\udc00",
  "null": null,
  "last": [
    [],
    [
      {}
    ]
  ]
}"#;

/// As Python wrote it with `ensure_ascii=False`.
const PYTHON_UNESCAPED: &str =
    "{\n  \"é\": \"ü\u{2028}\u{7f}\",\n  \"b\": [\n    1,\n    {\n      \"c\": null\n    }\n  ]\n}";

fn parse(text: &str) -> Document {
    Document::parse(text.as_bytes()).unwrap()
}

fn text(document: &Document) -> String {
    String::from_utf8(document.to_bytes()).unwrap()
}

fn pairs(document: &Document) -> Vec<(&str, &str)> {
    document.entries().collect()
}

#[test]
fn what_python_wrote_is_written_again_byte_for_byte() {
    for python in [PYTHON, PYTHON_UNESCAPED, "{}"] {
        assert_eq!(text(&parse(python)), python);
    }
}

#[test]
fn keys_are_decoded_and_values_stay_as_they_are_spelled() {
    let document = parse(PYTHON);
    let keys = ["BRCA2", "", "a:b:c", "café", "big", "f", "nan", "inf", "half", "null", "last"];
    assert_eq!(document.keys().collect::<Vec<_>>(), keys);
    assert_eq!(document.len(), keys.len() + 1);
    assert_eq!(document.get("café"), Some(r#""\u00e9\u2028\ud83d\ude00 \"q\" \\ /\u007f""#));
    assert_eq!(document.get("f"), Some("[\n    1.5e-300,\n    0.1,\n    -0.0,\n    1e+22\n  ]"));
    assert_eq!(document.get("null"), Some("null"));
    assert_eq!(document.get("none"), None);
    assert!(document.contains("") && !document.contains("none"));
}

#[test]
fn large_integers_keep_their_digits() {
    let big: u128 = serde_json::from_str(parse(PYTHON).get("big").unwrap()).unwrap();
    assert_eq!(big, 123_456_789_012_345_678_901_234_567_890_123_456_789);
}

#[test]
fn other_layouts_are_read_and_written_in_ours() {
    let layouts = [
        r#"{"a":[1, 2],"b":"x"}"#,
        "\r\n\t{ \"a\" :\n[1, 2] ,\t\"b\": \"x\"\r\n} \n\n",
        "{\n\"a\": [1, 2],\n\"b\": \"x\"\n}\n",
    ];
    for layout in layouts {
        assert_eq!(text(&parse(layout)), "{\n  \"a\": [1, 2],\n  \"b\": \"x\"\n}");
    }
    assert_eq!(text(&parse(" { } ")), "{}");
}

#[test]
fn of_several_values_for_a_key_the_last_counts_in_the_place_of_the_first() {
    let document = parse(r#"{"k\u00e9y": NaN, "b": 2, "kéy": {"k": 1, "k": 2}}"#);
    assert_eq!(pairs(&document), [("kéy", r#"{"k": 1, "k": 2}"#), ("b", "2")]);
    assert_eq!(document.len(), 2);
    assert_eq!(document.unreadable().count(), 0);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_usable() {
    let problems: Vec<String> = parse(PYTHON).unreadable().map(|p| p.to_string()).collect();
    let value = "set it again or invalidate it";
    assert_eq!(
        problems,
        [
            format!(
                "\"nan\": the value has NaN or an infinity, which JSON has no number for: {value}"
            ),
            format!(
                "\"inf\": the value has NaN or an infinity, which JSON has no number for: {value}"
            ),
            "\"\\ud800 key\": the key has half of a surrogate pair, which is no text: rename it in the document"
                .to_owned(),
            format!(
                "\"half\": the value has half of a surrogate pair, which is no text: {value}"
            ),
        ]
    );
}

#[test]
fn each_trouble_with_a_value_is_told_from_what_is_sound() {
    let nested = |depth| [&"[".repeat(depth)[..], &"]".repeat(depth)].concat();
    let digits = |count| "9".repeat(count);
    let cases = [
        (nested(127), None),
        (nested(128), Some(Trouble::Depth)),
        (nested(1_000_000), Some(Trouble::Depth)),
        (format!("{}1{}", "{\"a\":".repeat(128), "}".repeat(128)), Some(Trouble::Depth)),
        ("1e308".to_owned(), None),
        ("[-1E+309]".to_owned(), Some(Trouble::OutOfRange)),
        (digits(308), None),
        (digits(309), Some(Trouble::OutOfRange)),
        (format!("0.{}", digits(1000)), None),
        ("{\"x\": -Infinity}".to_owned(), Some(Trouble::NotFinite)),
        (r#""NaN \ud83d\ude00 \uDBFF\uDFFF""#.to_owned(), None),
        (r#""\ud83d\ud83d\ude00""#.to_owned(), Some(Trouble::Surrogate)),
        (r#""\ud83d\u00e9""#.to_owned(), Some(Trouble::Surrogate)),
        (r#""\ud83dx\ude00""#.to_owned(), Some(Trouble::Surrogate)),
        (r#"{"\ude00": 1}"#.to_owned(), Some(Trouble::Surrogate)),
    ];
    for (json, trouble) in cases {
        assert_eq!(scan::value(&json).unwrap(), trouble, "{json:.80}");
        let is_readable = serde_json::from_str::<serde_json::Value>(&json).is_ok();
        assert_eq!(is_readable, trouble.is_none(), "{json:.80}");
    }
}

#[test]
fn unreadable_entries_are_carried_until_they_are_replaced_or_cleared() {
    let mut document = parse(r#"{"\ud800": [1], "nan": NaN, "\uD800": [2]}"#);
    document.set("\u{fffd}", "0").unwrap();
    document.set("nan", "1").unwrap();
    assert_eq!(document.unreadable().count(), 2);
    assert_eq!(
        text(&document),
        "{\n  \"\\ud800\": [1],\n  \"nan\": 1,\n  \"\\uD800\": [2],\n  \"\u{fffd}\": 0\n}"
    );
    document.clear();
    assert_eq!(text(&document), "{}");
    assert_eq!(document.len(), 0);
}

#[test]
fn a_value_that_cannot_be_read_may_be_set_as_it_is() {
    let mut document = Document::default();
    document.set("k", "NaN").unwrap();
    assert_eq!(document.get("k"), Some("NaN"));
    assert_eq!(document.unreadable().count(), 1);
}

#[test]
fn long_and_odd_keys_are_named_on_one_short_line() {
    let mut document = Document::default();
    document.set(&format!("\u{85}{}", "é".repeat(500)), "NaN").unwrap();
    let problem = document.unreadable().next().unwrap();
    assert_eq!(problem.place, format!("\"\\u{{85}}{}…", "é".repeat(78)));
}

#[test]
fn a_copy_changes_by_itself() {
    let mut document = parse(PYTHON);
    let copy = document.clone();
    document.remove("BRCA2");
    document.set("f", "0").unwrap();
    assert_eq!(text(&copy), PYTHON);
}
