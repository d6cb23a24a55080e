//! Names on a disk: whatever the text, a key is refused or comes back, and an encoded text is one key and decodes.
#![no_main]

use larder_fuzz::expect;
use larder_storage::{ErrorKind, Key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Key::new(text) {
        Ok(key) => {
            assert_eq!(key.as_str(), text);
            assert_eq!(key.segments().collect::<Vec<_>>().join("/"), text);
            assert!(key.parent().is_none_or(|parent| key.is_within(&parent)));
        }
        Err(error) => expect(&error, &[ErrorKind::Invalid]),
    }
    match Key::encode(text) {
        Ok(key) => {
            assert_eq!(key.segments().count(), 1);
            assert_eq!(Key::decode(key.as_str()).as_deref(), Some(text));
        }
        Err(error) => expect(&error, &[ErrorKind::Invalid]),
    }
    // Only what the writer writes is read.
    if let Some(decoded) = Key::decode(text) {
        assert!(
            Key::encode(&decoded)
                .map_or(text.len() > Key::MAX_SEGMENT_LEN, |key| key.as_str() == text)
        );
    }
});
