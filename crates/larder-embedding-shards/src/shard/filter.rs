//! Which rows are wanted, decided by as little as possible: the statistics of a row group, then its narrow columns.

use std::ops::RangeInclusive;

use arrow_array::{
    Array, ArrowPrimitiveType, BooleanArray,
    cast::AsArray,
    types::{Int8Type, Int32Type, Int64Type},
};
use arrow_schema::{ArrowError, DataType};
use parquet::file::{metadata::RowGroupMetaData, statistics::Statistics};

/// What holds for one column of the rows that are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(super) column: &'static str,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// Text or a hash that is this one.
    Equal(Vec<u8>),
    /// A number in this range.
    Within(RangeInclusive<i64>),
}

impl Condition {
    /// That the text or hash in `column` is this one.
    pub(crate) fn equal(column: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { column, test: Test::Equal(bytes.into()) }
    }

    /// That the number in `column` is in this range.
    pub(crate) fn within(column: &'static str, range: RangeInclusive<i64>) -> Self {
        Self { column, test: Test::Within(range) }
    }

    /// Whether a row of the group may meet it. Where there are no statistics, any row may.
    pub(super) fn may_hold(&self, group: &RowGroupMetaData) -> bool {
        let chunk =
            group.columns().iter().find(|chunk| chunk.column_path().parts() == [self.column]);
        let Some(found) = chunk.and_then(|chunk| chunk.statistics()) else { return true };
        match (&self.test, found) {
            (Test::Within(range), Statistics::Int32(found)) => overlap(
                range,
                found.min_opt().map(|min| i64::from(*min)),
                found.max_opt().map(|max| i64::from(*max)),
            ),
            (Test::Within(range), Statistics::Int64(found)) => {
                overlap(range, found.min_opt().copied(), found.max_opt().copied())
            }
            // The old kind of statistics took bytes for signed numbers.
            (Test::Equal(bytes), found) if !found.is_min_max_deprecated() => {
                found.min_bytes_opt().is_none_or(|min| min <= bytes.as_slice())
                    && found.max_bytes_opt().is_none_or(|max| bytes.as_slice() <= max)
            }
            _ => true,
        }
    }

    /// Which values of its column meet it.
    pub(super) fn holds(&self, values: &dyn Array) -> Result<BooleanArray, ArrowError> {
        if values.null_count() > 0 {
            return Err(ArrowError::InvalidArgumentError(format!(
                "the column {} has nulls",
                self.column
            )));
        }
        let (test, kind) = (&self.test, values.data_type());
        Ok(match (test, kind) {
            (Test::Equal(bytes), DataType::Utf8) => {
                of(values.as_string::<i32>().iter().flatten().map(|text| text.as_bytes() == bytes))
            }
            (Test::Equal(bytes), DataType::FixedSizeBinary(_)) => {
                of(values.as_fixed_size_binary().iter().flatten().map(|hash| hash == bytes))
            }
            (Test::Within(range), DataType::Int8) => within::<Int8Type>(values, range),
            (Test::Within(range), DataType::Int32) => within::<Int32Type>(values, range),
            (Test::Within(range), DataType::Int64) => within::<Int64Type>(values, range),
            _ => {
                let message = format!("the column {} has the type {kind}", self.column);
                return Err(ArrowError::SchemaError(message));
            }
        })
    }
}

fn overlap(range: &RangeInclusive<i64>, min: Option<i64>, max: Option<i64>) -> bool {
    !range.is_empty()
        && min.is_none_or(|min| min <= *range.end())
        && max.is_none_or(|max| *range.start() <= max)
}

fn within<T: ArrowPrimitiveType<Native: Into<i64>>>(
    values: &dyn Array,
    range: &RangeInclusive<i64>,
) -> BooleanArray {
    let values = values.as_primitive::<T>().values();
    of(values.iter().map(|value| range.contains(&(*value).into())))
}

fn of(values: impl Iterator<Item = bool>) -> BooleanArray {
    values.map(Some).collect()
}
