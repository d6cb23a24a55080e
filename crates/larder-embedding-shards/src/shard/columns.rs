//! Rows out of decoded columns, with every value checked.

use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float16Array, Float32Array, Int8Array,
    Int32Array, Int64Array, ListArray, RecordBatch, StringArray, UInt32Array, cast::AsArray,
    types::Float16Type, types::Float32Type,
};
use larder_storage::{Error, ErrorKind, Key, Result, crc32c_append};

use super::{
    corrupt, not_of_dtype,
    schema::{EMBEDDING, EMBEDDING_CRC, SCHEMA_VERSION, SOURCE_CRC},
};
use crate::{CACHE_SCHEMA_VERSION, Dtype, Embedding, WindowKey, WindowRecord, embedding::narrowed};

/// A decoded part of a shard.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) path: &'a Key,
    pub(super) batch: &'a RecordBatch,
}

impl<'a> Rows<'a> {
    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub(super) fn column<T: Array + 'static>(&self, name: &str) -> Result<&'a T> {
        let found =
            self.batch.column_by_name(name).and_then(|array| array.as_any().downcast_ref::<T>());
        let array = found
            .ok_or_else(|| corrupt(self.path, format!("its column {name} has another type")))?;
        if array.null_count() > 0 {
            return Err(corrupt(self.path, format!("its column {name} has nulls")));
        }
        Ok(array)
    }

    /// A column of any type.
    pub(super) fn any(&self, name: &str) -> Result<&'a ArrayRef> {
        let missing = || corrupt(self.path, format!("its column {name} cannot be decoded"));
        self.batch.column_by_name(name).ok_or_else(missing)
    }

    pub(super) fn keys(&self) -> Result<Vec<WindowKey>> {
        let windows = self.column::<FixedSizeBinaryArray>("window_hash")?;
        let encoders = self.column::<FixedSizeBinaryArray>("encoder_hash")?;
        let layers = self.column::<Int8Array>("state_layer")?;
        let pools = self.column::<StringArray>("pool_type")?;
        let radii = self.column::<Int32Array>("pool_radius")?;
        let dtypes = self.column::<StringArray>("dtype")?;
        let key = |i| {
            Ok(WindowKey {
                window_hash: self.hash(windows.value(i))?,
                encoder_hash: self.hash(encoders.value(i))?,
                state_layer: layers.value(i),
                pool_type: pools.value(i).parse().map_err(|error| self.wrong(error))?,
                pool_radius: u32::try_from(radii.value(i))
                    .map_err(|_| corrupt(self.path, "has a negative radius"))?,
                dtype: dtypes.value(i).parse().map_err(|error| self.wrong(error))?,
            })
        };
        (0..self.len()).map(key).collect()
    }

    fn hash(&self, bytes: &[u8]) -> Result<[u8; 32]> {
        bytes.try_into().map_err(|_| corrupt(self.path, "has a hash that is not 32 bytes long"))
    }

    fn wrong(&self, error: Error) -> Error {
        corrupt(self.path, "has a row that breaks a rule").with_source(error)
    }

    /// When each row was made.
    pub(super) fn created(&self) -> Result<&'a Int64Array> {
        self.column("created_at")
    }

    pub(super) fn crcs(&self) -> Result<&'a UInt32Array> {
        self.column(EMBEDDING_CRC)
    }

    /// The embeddings of the rows with these keys. Where the file is ours their dtype is that of the key.
    pub(super) fn embeddings(&self, keys: &[WindowKey], ours: bool) -> Result<Vec<Embedding>> {
        let lists = self.column::<ListArray>(EMBEDDING)?;
        let decode = |(i, key): (usize, &WindowKey)| {
            let values = lists.value(i);
            if values.null_count() > 0 {
                return Err(corrupt(self.path, "has a null in an embedding"));
            }
            if let Some(halves) = values.as_primitive_opt::<Float16Type>() {
                return self.halves(halves, key.dtype, ours);
            }
            let singles = values.as_primitive_opt::<Float32Type>();
            self.singles(
                singles.ok_or_else(|| corrupt(self.path, "an embedding is no list of floats"))?,
                key.dtype,
            )
        };
        keys.iter().enumerate().map(decode).collect()
    }

    /// The Python package stores `float16` whatever the dtype says, so what it stored is what is returned.
    fn halves(&self, values: &Float16Array, dtype: Dtype, ours: bool) -> Result<Embedding> {
        if ours && dtype != Dtype::Fp16 {
            return Err(not_of_dtype(self.path, dtype));
        }
        Ok(Embedding::Fp16(values.values().to_vec()))
    }

    fn singles(&self, values: &Float32Array, dtype: Dtype) -> Result<Embedding> {
        let stored = match dtype {
            Dtype::Fp16 => None,
            Dtype::Bf16 => narrowed(bytemuck::cast_slice(values.values())).map(Embedding::Bf16),
            Dtype::Fp32 => Some(Embedding::Fp32(values.values().to_vec())),
        };
        stored.ok_or_else(|| not_of_dtype(self.path, dtype))
    }

    /// Whole rows, each with every rule checked.
    pub(super) fn records(&self, ours: bool) -> Result<Vec<WindowRecord>> {
        let keys = self.keys()?;
        let embeddings = self.embeddings(&keys, ours)?;
        let chroms = self.column::<StringArray>("chrom")?;
        let (starts, ends) =
            (self.column::<Int64Array>("start_bp")?, self.column::<Int64Array>("end_bp")?);
        let untargeted = self.column::<BooleanArray>("untargeted")?;
        let created = self.created()?;
        self.check_versions()?;
        let record = |(i, (key, embedding))| {
            let record = WindowRecord {
                chrom: chroms.value(i).to_owned(),
                start_bp: starts.value(i),
                end_bp: ends.value(i),
                key,
                embedding,
                untargeted: untargeted.value(i),
                created_at: created.value(i),
                schema_version: CACHE_SCHEMA_VERSION,
            };
            record.check_stored().map_err(|error| self.wrong(error))?;
            Ok(record)
        };
        keys.into_iter().zip(embeddings).enumerate().map(record).collect()
    }

    pub(super) fn check_versions(&self) -> Result<()> {
        let versions = self.column::<StringArray>(SCHEMA_VERSION)?;
        match versions.iter().flatten().find(|version| *version != CACHE_SCHEMA_VERSION) {
            Some(version) => {
                let shown: String = version.chars().take(40).collect();
                let message = format!(
                    "has rows of schema {shown:?} and this Larder knows {CACHE_SCHEMA_VERSION:?}"
                );
                Err(Error::new(ErrorKind::Format, message).at_key(self.path))
            }
            None => Ok(()),
        }
    }

    /// Checks the rows of one of our shards against their checksums.
    pub(super) fn check_crcs(&self, keys: &[WindowKey], embeddings: &[Embedding]) -> Result<()> {
        let crcs = self.crcs()?.values();
        let wrong = keys
            .iter()
            .zip(embeddings)
            .zip(crcs.iter())
            .any(|((key, row), crc)| crc32c_append(key.crc32c(), &row.stored()) != *crc);
        if wrong { Err(corrupt(self.path, "a row does not match its checksum")) } else { Ok(()) }
    }

    /// Checks what the embeddings' checksums leave out.
    pub(super) fn check_sources(&self, records: &[WindowRecord]) -> Result<()> {
        let crcs = self.column::<UInt32Array>(SOURCE_CRC)?.values();
        let wrong = records
            .iter()
            .zip(crcs.iter())
            .any(|(row, crc)| row.source_crc32c(row.created_at) != *crc);
        if wrong {
            Err(corrupt(self.path, "a row's source does not match its checksum"))
        } else {
            Ok(())
        }
    }
}
