//! Columns of the user's own.

use std::{collections::HashSet, sync::Arc};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, FieldRef, Schema};
use larder_storage::Result;
use parquet::arrow::{ArrowSchemaConverter, parquet_to_arrow_schema};

use crate::{Dtype, record::invalid, shard::schema};

/// Checks that `extra` can lie beside our columns in a shard of `rows` rows.
pub(crate) fn check_extra(extra: &RecordBatch, rows: usize) -> Result<()> {
    if extra.num_rows() != rows {
        return Err(invalid(format!(
            "the extra columns have {} rows for {rows} records: give one for each",
            extra.num_rows()
        )));
    }
    // Some programs that read Parquet do not tell names apart by case.
    let ours = schema::of(Dtype::Fp32, 1);
    let mut names: HashSet<String> =
        ours.fields().iter().map(|field| field.name().to_lowercase()).collect();
    for field in extra.schema_ref().fields() {
        let name = field.name();
        if name.is_empty() || !names.insert(name.to_lowercase()) {
            return Err(invalid(format!(
                "the extra column {name:?} has no name, or one that is taken: name it otherwise"
            )));
        }
        if !is_kept(field) {
            return Err(invalid(format!(
                "the extra column {name:?} has the type {}, which Parquet does not give back: cast it",
                field.data_type()
            )));
        }
    }
    Ok(())
}

/// Whether a column is read as what was written by whoever reads Parquet, and so keeps its values when its shard is merged
/// with others.
fn is_kept(field: &FieldRef) -> bool {
    if is_refused(field.data_type()) {
        return false;
    }
    let schema = Schema::new(vec![Arc::clone(field)]);
    let read = ArrowSchemaConverter::new()
        .convert(&schema)
        .and_then(|written| parquet_to_arrow_schema(&written, None));
    read.is_ok_and(|read| read.field(0).data_type().equals_datatype(field.data_type()))
}

/// Whether the library would panic.
fn is_refused(kind: &DataType) -> bool {
    match kind {
        DataType::Union(..) | DataType::FixedSizeBinary(0) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _)
        | DataType::RunEndEncoded(_, item) => is_refused(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| is_refused(field.data_type())),
        DataType::Dictionary(_, value) => is_refused(value),
        _ => false,
    }
}
