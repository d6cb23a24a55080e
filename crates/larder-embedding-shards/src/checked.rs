//! Which rows of a shard were checked already.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// A bit for each row, made when the first one is set.
#[derive(Debug)]
pub(crate) struct Checked {
    rows: u64,
    bits: OnceLock<Box<[AtomicU64]>>,
}

impl Checked {
    pub(crate) fn new(rows: u64) -> Self {
        Self { rows, bits: OnceLock::new() }
    }

    pub(crate) fn contains(&self, row: u64) -> bool {
        let word = self.bits.get().and_then(|bits| bits.get(usize::try_from(row / 64).ok()?));
        word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (row % 64)) != 0)
    }

    /// Rows that the shard does not have are not noted.
    pub(crate) fn insert(&self, row: u64) {
        let words = || (0..self.rows.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let bits = self.bits.get_or_init(words);
        if let Some(word) = usize::try_from(row / 64).ok().and_then(|at| bits.get(at)) {
            word.fetch_or(1 << (row % 64), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_in_once_it_was_noted() {
        let checked = Checked::new(65);
        assert!(!checked.contains(0));
        for row in [0, 63, 64, 1000] {
            checked.insert(row);
        }
        assert_eq!(
            [0, 1, 63, 64, 1000].map(|row| checked.contains(row)),
            [true, false, true, true, false]
        );
    }
}
