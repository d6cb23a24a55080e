//! JSON text that can be read is written so that it reads back the same, numbers to the bit.
#![no_main]

use larder_storage::{ErrorKind, json};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        let text = json::encode(&value).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), value);
    }
    let numbers: Vec<f64> =
        data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    match json::encode(&numbers) {
        Ok(text) => {
            let back: Vec<f64> = serde_json::from_slice(&text).unwrap();
            assert!(back.iter().map(|it| it.to_bits()).eq(numbers.iter().map(|it| it.to_bits())));
        }
        Err(error) => {
            larder_fuzz::expect(&error, &[ErrorKind::Invalid]);
            assert!(numbers.iter().any(|number| !number.is_finite()));
        }
    }
});
