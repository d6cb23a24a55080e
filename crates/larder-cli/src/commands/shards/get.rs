//! Rows by the hashes of their windows.

use std::{path::Path, process::ExitCode};

use larder::{
    embedding_shards::{Embedding, EmbeddingCache, WindowKey, WindowRecord},
    storage::{Digest, Error, ErrorKind, Result},
};
use serde_json::{Value, json};

use super::{cell, npy, scan, variant};
use crate::{
    args::{Hash, KeyFilter},
    output,
};

/// The exit code where a hash has no row.
const MISS: u8 = 3;

/// Prints the rows, or writes their embeddings to a file where all are there.
///
/// # Errors
/// `Invalid` where a hash has rows of several keys; else those of the cache.
pub(super) fn run(
    cache: &EmbeddingCache,
    key: &KeyFilter,
    hashes: &[Hash],
    npy: Option<&Path>,
) -> Result<ExitCode> {
    let keys = keys(cache, key, hashes)?;
    for (hash, _) in hashes.iter().zip(&keys).filter(|(_, key)| key.is_none()) {
        eprintln!("not there  {}", Digest::from(hash.0));
    }
    let missing = keys.iter().any(Option::is_none);
    let there: Vec<WindowKey> = keys.into_iter().flatten().collect();
    match npy {
        Some(file) if !missing => write(cache, &there, file)?,
        Some(_) => {}
        None => there.iter().try_for_each(|key| print(cache, key))?,
    }
    Ok(if missing { ExitCode::from(MISS) } else { ExitCode::SUCCESS })
}

/// The one key that each window has rows of.
fn keys(
    cache: &EmbeddingCache,
    key: &KeyFilter,
    hashes: &[Hash],
) -> Result<Vec<Option<WindowKey>>> {
    let mut found = vec![None; hashes.len()];
    let variants: Vec<_> = match variant::Variant::of(key) {
        Some(variant) => vec![variant],
        None => variant::all(cache, scan(key))?.into_keys().collect(),
    };
    for variant in &variants {
        let keys: Vec<_> = hashes.iter().map(|hash| variant.key(hash.0)).collect();
        for (i, there) in cache.contains_many(&keys)?.into_iter().enumerate() {
            match &found[i] {
                Some((other, _)) if there => return Err(ambiguous(hashes[i], other, variant)),
                None if there => found[i] = Some((*variant, keys[i])),
                _ => {}
            }
        }
    }
    Ok(found.into_iter().map(|found| found.map(|(_, key)| key)).collect())
}

fn ambiguous(hash: Hash, one: &variant::Variant, other: &variant::Variant) -> Error {
    let message = format!(
        "the window {} has several rows: say which one, such as {} or {}",
        Digest::from(hash.0),
        one.options(),
        other.options()
    );
    Error::new(ErrorKind::Invalid, message)
}

fn gone() -> Error {
    Error::new(ErrorKind::Conflict, "a row was removed meanwhile: ask again")
}

fn print(cache: &EmbeddingCache, key: &WindowKey) -> Result<()> {
    let row = cache.read_record(key)?.ok_or_else(gone)?;
    output::print(&format!("{}\n", value(&row)))
}

fn value(row: &WindowRecord) -> Value {
    let key = &row.key;
    let embedding: Vec<Value> = row.embedding.to_f32().into_iter().map(cell::number).collect();
    json!({
        "source": row.chrom, "start": row.start_bp, "end": row.end_bp,
        "window_hash": Digest::from(key.window_hash).to_string(),
        "encoder_hash": Digest::from(key.encoder_hash).to_string(),
        "state_layer": key.state_layer, "pool_type": key.pool_type.as_str(), "pool_radius": key.pool_radius,
        "dtype": key.dtype.as_str(), "untargeted": row.untargeted, "created_at": row.created_at,
        "embedding": embedding,
    })
}

fn write(cache: &EmbeddingCache, keys: &[WindowKey], file: &Path) -> Result<()> {
    let read: Option<Vec<Embedding>> = cache.read_many(keys)?.into_iter().collect();
    let rows = read.ok_or_else(gone)?;
    let Some(first) = rows.first() else { return Ok(()) };
    let (dim, halves) = (first.len(), matches!(first, Embedding::Fp16(_)));
    if rows.iter().any(|row| row.len() != dim || matches!(row, Embedding::Fp16(_)) != halves) {
        let message = "the rows differ in length or type, and a .npy file has one: get them apart";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if halves {
        npy::write(file, rows.len(), dim, |writer| {
            rows.iter().try_for_each(|row| match row {
                Embedding::Fp16(values) => npy::append(writer, values, dim),
                _ => Ok(()),
            })
        })
    } else {
        npy::write(file, rows.len(), dim, |writer| {
            rows.iter().try_for_each(|row| npy::append(writer, &row.to_f32(), dim))
        })
    }
}
