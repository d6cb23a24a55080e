//! The object of a lease: one that is free is taken with a higher fence, anything else is refused and left as it is.
#![no_main]

use std::sync::Arc;

use larder_fuzz::expect;
use larder_storage::{
    Bytes, Digest, ErrorKind, Key, MemoryStorage, PutIf, Storage,
    flight::{Flights, Options},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let found = serde_json::from_slice::<Value>(data).unwrap_or_default();
    // Somebody would have to be waited for.
    if found["state"] == "held" && found["lease_ms"].as_u64().is_some_and(|lease| lease > 0) {
        return;
    }
    let storage = MemoryStorage::new();
    let at = Key::new(format!("flights/{}", Digest::of(b"k"))).unwrap();
    storage.put(&at, Bytes::copy_from_slice(data), PutIf::Always).unwrap();
    let flights = Flights::on(Arc::new(storage.clone()), Options::default()).unwrap();
    match flights.enter("k") {
        Ok(lease) => {
            assert_eq!(lease.fence(), found["fence"].as_u64().map(|fence| fence + 1));
            lease.check().unwrap();
        }
        Err(error) => {
            expect(&error, &[ErrorKind::Corrupt, ErrorKind::Format]);
            assert_eq!(storage.get(&at).unwrap().unwrap().bytes(), data);
        }
    }
});
