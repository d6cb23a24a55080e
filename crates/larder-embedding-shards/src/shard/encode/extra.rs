//! Columns of the user's own.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use larder_storage::Result;

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
        if has_union(field.data_type()) {
            return Err(invalid(format!(
                "the extra column {name:?} is or holds a union, which Parquet lacks"
            )));
        }
    }
    Ok(())
}

/// Whether the library would panic.
fn has_union(kind: &DataType) -> bool {
    match kind {
        DataType::Union(..) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _)
        | DataType::RunEndEncoded(_, item) => has_union(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_union(field.data_type())),
        DataType::Dictionary(_, value) => has_union(value),
        _ => false,
    }
}
