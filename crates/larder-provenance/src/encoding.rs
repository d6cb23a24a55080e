//! The bytes that a [`Provenance`] is hashed as, and the hash: its key.
//!
//! The encoding is injective: provenances that differ in anything that counts have different bytes, and equal ones
//! have the same bytes in every process, on every machine and in every later release. The key is the BLAKE3 digest, in
//! key-derivation mode with the context [`CONTEXT`], of these bytes:
//!
//! ```text
//! provenance = field*                     each at most once, in this order; one that is absent is left out
//! field      = 'O' text                   the operation, always there
//!            | 'V' text                   the version of its code
//!            | 'E' map                    the environment; absent where it is empty
//!            | 'S' text                   the salt
//!            | 'I' count input*           inputs whose order counts
//!            | 'U' count input*           inputs whose order does not count, sorted
//!            | 'P' map                    the parameters, always there
//! input      = role source                sorted: by role, none first, as bytes; then records first; then as bytes
//! role       = 'N' | text
//! source     = 'R' 16 bytes               the id of a record
//!            | 'C' 32 bytes               the BLAKE3 digest of some content
//! value      = 'N'                        null
//!            | 'B' byte                   0 or 1
//!            | 'Z' 16 bytes               a whole number, two's complement
//!            | 'D' 8 bytes                IEEE 754 binary64; every NaN as 0x7ff8000000000000
//!            | text
//!            | 'Y' count byte*            bytes
//!            | 'L' count value*           a list
//!            | map
//! text       = 'T' count byte*            UTF-8, as it is
//! map        = 'M' count (text value)*    sorted by the bytes of the names
//! count      = 8 bytes
//! ```
//!
//! Exactly one of `'I'` and `'U'` is there. Numbers are little-endian. What is only
//! [recorded](Provenance::recorded) is left out.
//!
//! `testdata/keys.json` in the sources of this crate has provenances in their [JSON form](Provenance::to_json), the
//! bytes that they are encoded as, and their keys.

use std::sync::LazyLock;

use larder_storage::Digest;

use crate::{Input, Provenance, Source, Value, value::bits};

/// The version of the encoding: another version would give other keys, and every stored result would be missed.
pub const ENCODING_FORMAT_VERSION: u32 = 1;

/// The context of the key derivation, which keeps these digests apart from all others.
pub const CONTEXT: &str = "larder-provenance key of a provenance, version 1";

/// The key of the provenance.
pub(crate) fn digest(provenance: &Provenance) -> Digest {
    // The context is hashed once: it costs about a third of what a small provenance does.
    static HASHER: LazyLock<blake3::Hasher> =
        LazyLock::new(|| blake3::Hasher::new_derive_key(CONTEXT));
    let mut hasher = HASHER.clone();
    hasher.update(&encode(provenance));
    Digest::from(*hasher.finalize().as_bytes())
}

pub(crate) fn encode(provenance: &Provenance) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.push(b'O');
    push_text(&mut out, provenance.operation());
    if let Some(version) = provenance.code_version() {
        out.push(b'V');
        push_text(&mut out, version);
    }
    if !provenance.environment_items().is_empty() {
        out.push(b'E');
        push_map(&mut out, provenance.environment_items());
    }
    if let Some(salt) = provenance.salt_text() {
        out.push(b'S');
        push_text(&mut out, salt);
    }
    push_count(
        &mut out,
        if provenance.is_ordered() { b'I' } else { b'U' },
        provenance.inputs().len(),
    );
    for input in provenance.inputs() {
        push_input(&mut out, input);
    }
    out.push(b'P');
    push_map(&mut out, provenance.params());
    out
}

fn push_input(out: &mut Vec<u8>, input: &Input) {
    match input.role() {
        Some(role) => push_text(out, role),
        None => out.push(b'N'),
    }
    match input.source() {
        Source::Record(id) => push(out, b'R', id.as_bytes()),
        Source::Content(digest) => push(out, b'C', digest.as_bytes()),
    }
}

fn push_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(b'N'),
        Value::Bool(value) => push(out, b'B', &[u8::from(*value)]),
        Value::Int(value) => push(out, b'Z', &value.to_le_bytes()),
        Value::Float(value) => push(out, b'D', &bits(*value).to_le_bytes()),
        Value::Text(text) => push_text(out, text),
        Value::Bytes(bytes) => {
            push_count(out, b'Y', bytes.len());
            out.extend_from_slice(bytes);
        }
        Value::List(values) => {
            push_count(out, b'L', values.len());
            values.iter().for_each(|value| push_value(out, value));
        }
        Value::Map(entries) => push_map(out, entries),
    }
}

fn push_map(out: &mut Vec<u8>, entries: &std::collections::BTreeMap<String, Value>) {
    push_count(out, b'M', entries.len());
    for (key, value) in entries {
        push_text(out, key);
        push_value(out, value);
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    push_count(out, b'T', text.len());
    out.extend_from_slice(text.as_bytes());
}

fn push_count(out: &mut Vec<u8>, tag: u8, count: usize) {
    push(out, tag, &(count as u64).to_le_bytes());
}

fn push(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}
