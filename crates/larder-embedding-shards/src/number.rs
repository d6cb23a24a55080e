use bytemuck::Pod;
use half::{bf16, f16};

use crate::{Dtype, Embedding};

/// A number of a matrix of embeddings: `f16`, `bf16` or `f32`.
pub trait Number: Pod + Send + Sync + sealed::Sealed {
    /// Whether a row of the matrix has the very bytes that are stored.
    #[doc(hidden)]
    fn is_stored_as(dtype: Dtype) -> bool;

    /// Copies an embedding of the same length; `None` where its values do not go into this type.
    #[doc(hidden)]
    fn take(embedding: &Embedding, row: &mut [Self]) -> Option<()>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
    impl Sealed for f32 {}
}

impl Number for f16 {
    fn is_stored_as(dtype: Dtype) -> bool {
        dtype == Dtype::Fp16
    }

    fn take(embedding: &Embedding, row: &mut [Self]) -> Option<()> {
        let Embedding::Fp16(values) = embedding else { return None };
        row.copy_from_slice(values);
        Some(())
    }
}

impl Number for bf16 {
    fn is_stored_as(_: Dtype) -> bool {
        false
    }

    fn take(embedding: &Embedding, row: &mut [Self]) -> Option<()> {
        let Embedding::Bf16(values) = embedding else { return None };
        row.copy_from_slice(values);
        Some(())
    }
}

impl Number for f32 {
    fn is_stored_as(dtype: Dtype) -> bool {
        matches!(dtype, Dtype::Fp32 | Dtype::Bf16)
    }

    fn take(embedding: &Embedding, row: &mut [Self]) -> Option<()> {
        match embedding {
            Embedding::Fp32(values) => row.copy_from_slice(values),
            Embedding::Fp16(_) | Embedding::Bf16(_) => row.copy_from_slice(&embedding.to_f32()),
        }
        Some(())
    }
}
