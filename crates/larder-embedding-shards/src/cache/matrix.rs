//! Many rows in one piece of memory.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float32Array, Int8Array,
    Int32Array, RecordBatch, StringArray,
};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use larder_storage::{Error, ErrorKind, Key, Result};
use ndarray::Array2;

use super::{EmbeddingCache, fetch::Target, read::wanted};
use crate::{
    Dtype, Embedding, Number, WindowKey, index::Found, key::hex, record::invalid,
    shard::not_of_dtype,
};

impl EmbeddingCache {
    /// The embeddings of `keys` as the rows of one matrix, in the same order. `f16` and `bf16` take rows of their dtype, `f32`
    /// takes those of all three, whose values it holds exactly. No keys make a matrix of 0 by 0.
    ///
    /// They are read in the order in which they lie in the shards, on several threads where there are many, each straight
    /// to its place.
    ///
    /// # Errors
    ///
    /// `NotFound` where one of the keys has no embedding; `Invalid` where the embeddings differ in length or do not go
    /// into a `T`; otherwise as [`read`](Self::read).
    pub fn read_matrix<T: Number>(&self, keys: &[WindowKey]) -> Result<Array2<T>> {
        self.look_up(keys, |found| {
            if let Some(at) = found.iter().position(Option::is_none) {
                let message = format!(
                    "there is no embedding of the window {} ({at} of {} keys): `contains_many` tells which are missing",
                    hex(&keys[at].window_hash),
                    keys.len()
                );
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            let dim = self.width(keys, found)?;
            let numbers = self.rows::<T>(keys, found, dim)?;
            Array2::from_shape_vec((keys.len(), dim), numbers).map_err(|error| unmade(error.into()))
        })
    }

    /// The embeddings of `keys`, which agree in dtype, as an Arrow batch: a row for each key in the same order, with the
    /// columns of the key and `embedding`, which is null where there is none. Its type is a fixed-size list of `Float16` for
    /// fp16 and of `Float32` for fp32 and bf16.
    ///
    /// # Errors
    ///
    /// `Invalid` where the keys differ in dtype or the embeddings in length; otherwise as [`read`](Self::read).
    pub fn read_batch(&self, keys: &[WindowKey]) -> Result<RecordBatch> {
        let dtype = keys.first().map_or(Dtype::Fp32, |key| key.dtype);
        if keys.iter().any(|key| key.dtype != dtype) {
            return Err(invalid("the keys differ in dtype: ask for those of one at a time"));
        }
        let (embeddings, dim, nulls) = self.look_up(keys, |found| {
            let dim = self.width(keys, found)?;
            let numbers: ArrayRef = if dtype == Dtype::Fp16 {
                let numbers = self.rows(keys, found, dim)?;
                Arc::new(Float16Array::new(ScalarBuffer::from(numbers), None))
            } else {
                let numbers = self.rows(keys, found, dim)?;
                Arc::new(Float32Array::new(ScalarBuffer::from(numbers), None))
            };
            Ok((numbers, dim, found.iter().map(Option::is_some).collect::<NullBuffer>()))
        })?;
        batch(keys, embeddings, dim, nulls).map_err(|error| unmade(error.into()))
    }

    /// How many numbers the embeddings have; 0 where there are none.
    fn width(&self, keys: &[WindowKey], found: &[Option<Found>]) -> Result<usize> {
        let Some((at, first)) =
            found.iter().enumerate().find_map(|(at, f)| Some((at, f.as_ref()?)))
        else {
            return Ok(0);
        };
        if let Some(dim) = first.shard.dim {
            return Ok(dim);
        }
        // A shard of the Python package has rows of any length.
        let embedding = self.fetch_found(&keys[at..=at], &found[at..=at])?.pop().flatten();
        Ok(embedding.map_or(0, |embedding| embedding.len()))
    }

    /// The rows one after the other, with zeros for those that were not found.
    fn rows<T: Number>(
        &self,
        keys: &[WindowKey],
        found: &[Option<Found>],
        dim: usize,
    ) -> Result<Vec<T>> {
        let mut numbers = bytemuck::zeroed_vec::<T>(keys.len() * dim);
        let rows = numbers.chunks_exact_mut(dim.max(1)).map(MatrixRow);
        self.fetch(wanted(keys, found, rows))?;
        Ok(numbers)
    }
}

/// A row of a matrix.
struct MatrixRow<'a, T>(&'a mut [T]);

impl<T: Number> MatrixRow<'_, T> {
    fn check(&self, dim: usize) -> Result<()> {
        if self.0.len() == dim {
            return Ok(());
        }
        Err(invalid(format!(
            "one embedding has {} numbers and another {dim}: ask for those of one length at a time",
            self.0.len()
        )))
    }
}

impl<T: Number> Target for MatrixRow<'_, T> {
    fn fill(
        self,
        path: &Key,
        key: &WindowKey,
        dim: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        self.check(dim)?;
        if T::is_stored_as(key.dtype) {
            return fill(bytemuck::cast_slice_mut(self.0));
        }
        let embedding = Embedding::read(key.dtype, dim, fill)?;
        self.set(key, embedding.ok_or_else(|| not_of_dtype(path, key.dtype))?)
    }

    fn set(self, _: &WindowKey, embedding: Embedding) -> Result<()> {
        self.check(embedding.len())?;
        T::take(&embedding, self.0).ok_or_else(|| {
            let (dtype, name) = (embedding.dtype(), std::any::type_name::<T>());
            let name = name.rsplit("::").next().unwrap_or(name);
            invalid(format!("the embeddings are {dtype} and do not go into {name}: use f32"))
        })
    }
}

fn batch(
    keys: &[WindowKey],
    numbers: ArrayRef,
    dim: usize,
    nulls: NullBuffer,
) -> std::result::Result<RecordBatch, ArrowError> {
    let element = Arc::new(Field::new("element", numbers.data_type().clone(), false));
    let width = i32::try_from(dim).map_err(|error| ArrowError::ExternalError(error.into()))?;
    let embeddings =
        FixedSizeListArray::try_new_with_length(element, width, numbers, Some(nulls), keys.len())?;
    let hash = |of: fn(&WindowKey) -> [u8; 32]| {
        let values = keys.iter().flat_map(of).collect::<Vec<u8>>();
        FixedSizeBinaryArray::try_new(32, values.into(), None).map(Arc::new)
    };
    let text = |of: fn(&WindowKey) -> &'static str| {
        Arc::new(StringArray::from_iter_values(keys.iter().map(of)))
    };
    let radii = Int32Array::from_iter_values(keys.iter().map(|key| key.pool_radius.cast_signed()));
    let arrays: [(&str, ArrayRef); 7] = [
        ("window_hash", hash(|key| key.window_hash)?),
        ("encoder_hash", hash(|key| key.encoder_hash)?),
        ("state_layer", Arc::new(Int8Array::from_iter_values(keys.iter().map(|k| k.state_layer)))),
        ("pool_type", text(|key| key.pool_type.as_str())),
        ("pool_radius", Arc::new(radii)),
        ("dtype", text(|key| key.dtype.as_str())),
        ("embedding", Arc::new(embeddings)),
    ];
    let field = |(name, array): &(&str, ArrayRef)| {
        let kind: DataType = array.data_type().clone();
        Field::new(*name, kind, *name == "embedding")
    };
    let fields: Vec<Field> = arrays.iter().map(field).collect();
    let arrays = arrays.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

fn unmade(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::new(ErrorKind::Backend, "the rows cannot be put together").with_source(error)
}
