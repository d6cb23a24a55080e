use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use larder_storage::{Key, Result};

use super::corrupt;
use crate::Dtype;

pub(super) const EMBEDDING: &str = "embedding";
pub(super) const EMBEDDING_CRC: &str = "embedding_crc32c";
pub(super) const SOURCE_CRC: &str = "source_crc32c";
pub(super) const SCHEMA_VERSION: &str = "schema_version";

/// The columns that make up a row's key.
pub(super) const KEY: [&str; 6] =
    ["window_hash", "encoder_hash", "state_layer", "pool_type", "pool_radius", "dtype"];

/// The Arrow schema of what we write; `dim` is a width that Arrow can count.
pub(super) fn of(dtype: Dtype, dim: i32) -> Schema {
    let number = if dtype == Dtype::Fp16 { DataType::Float16 } else { DataType::Float32 };
    let embedding = DataType::FixedSizeList(Arc::new(Field::new("element", number, false)), dim);
    let mut fields: Vec<Field> = Vec::new();
    for (name, kind) in COLUMNS.iter().chain(&CHECKSUMS) {
        fields.push(Field::new(*name, kind.clone(), false));
        if *name == "dtype" {
            fields.push(Field::new(EMBEDDING, embedding.clone(), false));
        }
    }
    Schema::new(fields)
}

/// All columns of the Python package's schema but the embedding.
const COLUMNS: [(&str, DataType); 12] = [
    ("chrom", DataType::Utf8),
    ("start_bp", DataType::Int64),
    ("end_bp", DataType::Int64),
    ("window_hash", DataType::FixedSizeBinary(32)),
    ("encoder_hash", DataType::FixedSizeBinary(32)),
    ("state_layer", DataType::Int8),
    ("pool_type", DataType::Utf8),
    ("pool_radius", DataType::Int32),
    ("dtype", DataType::Utf8),
    ("untargeted", DataType::Boolean),
    ("created_at", DataType::Int64),
    (SCHEMA_VERSION, DataType::Utf8),
];

const CHECKSUMS: [(&str, DataType); 2] =
    [(EMBEDDING_CRC, DataType::UInt32), (SOURCE_CRC, DataType::UInt32)];

/// The names of the Python package's columns, in their order.
pub(crate) fn standard() -> impl Iterator<Item = &'static str> {
    let with_embedding = |name| [Some(name), (name == "dtype").then_some(EMBEDDING)];
    COLUMNS.iter().flat_map(move |(name, _)| with_embedding(*name)).flatten()
}

/// The schema of some columns of no rows. What only rows could tell is null, and the width of an embedding is 0.
pub(crate) fn of_nothing(columns: &[String], dtype: Dtype) -> Schema {
    let known = of(dtype, 0);
    let field = |name: &String| match known.field_with_name(name) {
        Ok(field) => field.clone(),
        Err(_) => Field::new(name, DataType::Null, true),
    };
    Schema::new(columns.iter().map(field).collect::<Vec<_>>())
}

/// Whether a column is one of those that Larder writes, which hold no nulls.
pub(super) fn is_known(name: &str) -> bool {
    name == EMBEDDING || COLUMNS.iter().chain(&CHECKSUMS).any(|(known, _)| *known == name)
}

/// Whether the columns that only Larder writes are there.
pub(super) fn has_checksums(schema: &Schema) -> bool {
    CHECKSUMS.iter().any(|(name, _)| schema.column_with_name(name).is_some())
}

/// Checks that each column of a row is there with its type, whoever wrote the file.
pub(super) fn check(path: &Key, schema: &Schema, ours: bool) -> Result<()> {
    let checksums = if ours { &CHECKSUMS[..] } else { &[] };
    for (name, kind) in COLUMNS.iter().chain(checksums) {
        let found = field(path, schema, name)?;
        if found != kind {
            return Err(corrupt(
                path,
                format!("its column {name} has the type {found} and not {kind}"),
            ));
        }
    }
    match field(path, schema, EMBEDDING)? {
        DataType::List(item)
            if matches!(item.data_type(), DataType::Float16 | DataType::Float32) =>
        {
            Ok(())
        }
        found => Err(corrupt(
            path,
            format!("its column embedding has the type {found} and is no list of floats"),
        )),
    }
}

fn field<'a>(path: &Key, schema: &'a Schema, name: &str) -> Result<&'a DataType> {
    let found = schema.column_with_name(name).map(|(_, field)| field.data_type());
    found.ok_or_else(|| corrupt(path, format!("has no column {name}: it is no embedding shard")))
}
