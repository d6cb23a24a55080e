//! The embeddings, each of which can be made at any time from its number.

use std::ops::Range;

use larder_embedding_shards::{Dtype, Embedding, PoolType, WindowKey, WindowRecord, f16};

use crate::{Outcome, random::Random};

/// What names the shards.
pub(super) const ENCODER: &str = "encoder";
pub(super) const CONTIG: &str = "1";

/// As long as a window of the genome that these could be of.
const WINDOW: usize = 512;

/// Rows of numbers.
pub(super) struct Data {
    pub(super) name: &'static str,
    /// Half or single precision.
    pub(super) dtype: Dtype,
    pub(super) dim: usize,
    pub(super) rows: usize,
}

impl Data {
    pub(super) fn row_bytes(&self) -> usize {
        self.dim * if self.dtype == Dtype::Fp16 { 2 } else { 4 }
    }

    pub(super) fn key(&self, row: usize) -> WindowKey {
        let mut window_hash = [0; 32];
        // Another seed than that of the numbers.
        let mut random = Random(!(row as u64));
        for part in window_hash.as_chunks_mut().0 {
            *part = word(&mut random).to_le_bytes();
        }
        WindowKey {
            window_hash,
            encoder_hash: [7; 32],
            state_layer: 3,
            pool_type: PoolType::GlobalMean,
            pool_radius: 0,
            dtype: self.dtype,
        }
    }

    /// The numbers of a row as they lie in files: any bits, but finite, and small enough for half precision.
    pub(super) fn row(&self, row: usize) -> Vec<u8> {
        let mut random = Random(row as u64);
        let small: u64 =
            if self.dtype == Dtype::Fp16 { 0xbfff_bfff_bfff_bfff } else { 0xbfff_ffff_bfff_ffff };
        let words = self.row_bytes() / size_of::<u64>();
        (0..words).flat_map(|_| (word(&mut random) & small).to_le_bytes()).collect()
    }

    pub(super) fn embedding(&self, row: usize) -> Embedding {
        let bytes = self.row(row);
        if self.dtype == Dtype::Fp16 {
            Embedding::Fp16(bytes.as_chunks().0.iter().copied().map(f16::from_le_bytes).collect())
        } else {
            Embedding::Fp32(bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect())
        }
    }

    pub(super) fn records(&self, rows: Range<usize>) -> Outcome<Vec<WindowRecord>> {
        let record = |row: usize| {
            let start = i64::try_from(row * WINDOW)?;
            let end = start + i64::try_from(WINDOW)?;
            Ok(WindowRecord::new(CONTIG, start, end, self.key(row), self.embedding(row))?)
        };
        rows.map(record).collect()
    }
}

fn word(random: &mut Random) -> u64 {
    random.below(usize::MAX) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_finite_and_fit_into_half_precision() {
        for dtype in [Dtype::Fp16, Dtype::Fp32] {
            let data = Data { name: "", dtype, dim: 384, rows: 50 };
            for record in data.records(0..data.rows).unwrap() {
                let values = record.embedding.to_f32();
                assert!(values.len() == data.dim && values.iter().all(|value| value.abs() < 2.0));
            }
        }
    }
}
