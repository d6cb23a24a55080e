use larder_storage::{Error, ErrorKind, Result, crc32c_append, time};

use crate::{CACHE_SCHEMA_VERSION, Embedding, WindowKey};

/// One row of a shard: an embedding, what it is of, and where that lies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowRecord {
    /// The contig or document that the window lies on; not empty.
    pub chrom: String,
    /// Where the window starts, in bases from the contig's start.
    pub start_bp: i64,
    /// Where the window ends; the base there is not part of it.
    pub end_bp: i64,
    /// The content address.
    pub key: WindowKey,
    /// The embedding; one number at least.
    pub embedding: Embedding,
    /// Whether the window was drawn without a target.
    pub untargeted: bool,
    /// When the embedding was made, in nanoseconds since 1970 in UTC; 0 where that is not known yet.
    pub created_at: i64,
    /// The version of the row's schema: always [`CACHE_SCHEMA_VERSION`].
    pub schema_version: &'static str,
}

impl WindowRecord {
    /// A targeted row without a time.
    ///
    /// # Errors
    ///
    /// `Invalid` where `chrom` is empty, the window is empty, the embedding is empty, longer than
    /// [`Embedding::MAX_LEN`] or not of the key's dtype, or the radius exceeds `i32::MAX`.
    pub fn new(
        chrom: impl Into<String>,
        start_bp: i64,
        end_bp: i64,
        key: WindowKey,
        embedding: Embedding,
    ) -> Result<Self> {
        let (untargeted, created_at, schema_version) = (false, 0, CACHE_SCHEMA_VERSION);
        let chrom = chrom.into();
        let record = Self {
            chrom,
            start_bp,
            end_bp,
            key,
            embedding,
            untargeted,
            created_at,
            schema_version,
        };
        record.check()?;
        Ok(record)
    }

    /// The row with this mark.
    #[must_use]
    pub fn with_untargeted(mut self, untargeted: bool) -> Self {
        self.untargeted = untargeted;
        self
    }

    /// The row with the present time where it has none.
    #[must_use]
    pub fn with_created_at(mut self) -> Self {
        if self.created_at == 0 {
            self.created_at = time::now_ns();
        }
        self
    }

    /// What holds for every row that is written.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_stored()?;
        if self.schema_version != CACHE_SCHEMA_VERSION {
            let message = format!(
                "the schema version of a row is {CACHE_SCHEMA_VERSION:?}: leave it as it is"
            );
            return Err(invalid(message));
        }
        let (found, named) = (self.embedding.dtype(), self.key.dtype);
        if found != named {
            return Err(invalid(format!(
                "the key says {named} and the embedding is {found}: make them agree"
            )));
        }
        Ok(())
    }

    /// What holds for rows that the Python package wrote as well: it stores `float16` whatever the dtype.
    pub(crate) fn check_stored(&self) -> Result<()> {
        let Self { start_bp, end_bp, .. } = self;
        if self.chrom.is_empty() {
            return Err(invalid("the chrom of a window is empty: name its contig"));
        }
        if end_bp <= start_bp {
            return Err(invalid(format!(
                "the window {start_bp}..{end_bp} is empty: its end lies after its start"
            )));
        }
        if self.key.pool_radius > i32::MAX as u32 {
            return Err(invalid(format!(
                "the pool radius {} is above {}",
                self.key.pool_radius,
                i32::MAX
            )));
        }
        if self.embedding.is_empty() || self.embedding.len() > Embedding::MAX_LEN {
            let message = format!(
                "an embedding has 1 to {} numbers, not {}",
                Embedding::MAX_LEN,
                self.embedding.len()
            );
            return Err(invalid(message));
        }
        Ok(())
    }

    /// The checksum of all but the embedding. Only `chrom` varies in length, so it comes last.
    pub(crate) fn source_crc32c(&self, created_at: i64) -> u32 {
        let crc = crc32c_append(self.key.crc32c(), &self.start_bp.to_le_bytes());
        let crc = crc32c_append(crc, &self.end_bp.to_le_bytes());
        let crc = crc32c_append(crc, &created_at.to_le_bytes());
        let crc = crc32c_append(crc, &[u8::from(self.untargeted)]);
        crc32c_append(crc, self.chrom.as_bytes())
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{key, values};

    #[test]
    fn refuses_what_is_no_window() {
        let key = key(1);
        let make = |chrom: &str, start, end, embedding| {
            WindowRecord::new(chrom, start, end, key, embedding)
        };
        assert!(make("1", 0, 1, values(3)).is_ok());
        for (chrom, start, end, embedding) in [
            ("", 0, 1, values(3)),
            ("1", 5, 5, values(3)),
            ("1", 5, 4, values(3)),
            ("1", 0, 1, Embedding::Fp32(vec![])),
            ("1", 0, 1, Embedding::Fp16(vec![half::f16::ONE])),
        ] {
            assert_eq!(make(chrom, start, end, embedding).unwrap_err().kind(), ErrorKind::Invalid);
        }
        let far = WindowKey { pool_radius: 1 << 31, ..key };
        assert_eq!(
            WindowRecord::new("1", 0, 1, far, values(3)).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }

    #[test]
    fn a_row_of_another_schema_is_not_written() {
        let mut record = WindowRecord::new("1", 0, 1, key(1), values(3)).unwrap();
        record.schema_version = "2.0.0";
        assert_eq!(record.check().unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_time_is_filled_in_once() {
        let record = WindowRecord::new("1", 0, 1, key(1), values(3)).unwrap();
        assert_eq!(record.created_at, 0);
        let filled = record.with_created_at();
        assert!(filled.created_at > 1_700_000_000_000_000_000);
        assert_eq!(filled.clone().with_created_at(), filled);
    }
}
