//! Payloads and their summaries: refused with `Format`, or, where what was read can be written at all, it comes back
//! the same. The first byte of the input says of which kind they are.
#![no_main]

use larder_fuzz::{expect, split};
use larder_provenance::{Encoded, Genome, Json, Payload, PlacedTrack};
use larder_storage::{Bytes, ErrorKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let Some((summary, bytes)) = split(rest) else { return };
    let Ok(summary) = str::from_utf8(summary) else { return };
    let encoded = Encoded { bytes: Bytes::copy_from_slice(bytes), summary: summary.to_owned() };
    match kind % 3 {
        0 => look::<Genome>(encoded),
        1 => look::<PlacedTrack>(encoded),
        _ => look::<Json<serde_json::Value>>(encoded),
    }
});

fn look<T: Payload>(encoded: Encoded) {
    let payload = match T::decode(encoded, T::VERSION) {
        Ok(payload) => payload,
        Err(error) => return expect(&error, &[ErrorKind::Format]),
    };
    match payload.encode() {
        Ok(encoded) => {
            let back = T::decode(encoded.clone(), T::VERSION).unwrap();
            assert_eq!(back.encode().unwrap(), encoded);
        }
        // Nothing that Larder wrote, for it checks first.
        Err(error) => expect(&error, &[ErrorKind::Invalid]),
    }
}
