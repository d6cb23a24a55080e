//! What it takes to make a key.

use std::hint::black_box;

use larder_provenance::Provenance;
use larder_storage::Digest;
use serde_json::json;

use crate::{
    Outcome,
    peer::Interpreter,
    rounds::{Table, Turn, compare_turns, each},
};

const ROUNDS: usize = 10;
const CALLS: usize = 10_000;
const GROUP: usize = 100;

pub(super) fn of_20_parameters(python: Option<&Interpreter>) -> Outcome<Table> {
    let made = (0..5).fold(Provenance::new("transform.smooth"), |made, number| {
        made.param(format!("text {number}"), format!("value {number}"))
            .param(format!("number {number}"), number)
            .param(format!("float {number}"), 0.1 * f64::from(number))
            .param(format!("flag {number}"), number % 2 == 0)
    });
    // Tags, lengths, names and values.
    let bytes = vec![7_u8; 580];
    let turn = |mut work: Box<dyn FnMut()>| -> Turn<'_> {
        Box::new(move |_| {
            each(GROUP, &[(); CALLS], |()| {
                work();
                Ok(())
            })
        })
    };
    let mut contenders = vec![
        ("BLAKE3 of 580 bytes", turn(Box::new(move || _ = black_box(Digest::of(&bytes))))),
        ("Larder", turn(Box::new(move || _ = black_box(made.digest())))),
    ];
    if let Some(python) = python {
        let hash: Turn<'_> =
            Box::new(move |_| python.time(&json!({ "request": "hash", "calls": CALLS / 10 })));
        contenders.push(("joblib.hash", hash));
    }
    compare_turns("key of 20 parameters", ROUNDS, contenders)
}
