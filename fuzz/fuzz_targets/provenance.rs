//! The JSON form of a provenance: refused with `Format`, or an equal one of the same key comes back.
#![no_main]

use larder_fuzz::expect;
use larder_provenance::Provenance;
use larder_storage::ErrorKind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Provenance::from_json(text) {
        Ok(provenance) => {
            let back = Provenance::from_json(&provenance.to_json()).unwrap();
            assert_eq!(back, provenance);
            assert_eq!(back.digest(), provenance.digest());
            assert_eq!(back.to_json(), provenance.to_json());
        }
        Err(error) => expect(&error, &[ErrorKind::Format]),
    }
});
