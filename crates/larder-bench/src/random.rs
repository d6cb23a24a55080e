//! Numbers that are random, and the same in every run.

use std::ops::Range;

/// `count` numbers below `end`, the same for the same seed.
pub(crate) fn draw(count: usize, end: usize, seed: usize) -> Vec<usize> {
    let mut random = Random(seed as u64);
    (0..count).map(|_| random.below(end)).collect()
}

/// The numbers in an order that is always the same, and not theirs.
pub(crate) fn shuffled(numbers: Range<usize>) -> Vec<usize> {
    let mut random = Random(1);
    let mut numbers: Vec<usize> = numbers.collect();
    for last in (1..numbers.len()).rev() {
        numbers.swap(last, random.below(last + 1));
    }
    numbers
}

/// Steele, Lea and Flood's SplitMix64, begun with a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_every_number_and_moves_most() {
        let mut numbers = shuffled(100..1100);
        let kept = numbers.iter().zip(100..).filter(|(number, place)| **number == *place).count();
        assert!(kept < 20, "{kept} kept their place");
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(100..1100));
    }

    #[test]
    fn draws_are_repeatable() {
        assert_eq!(draw(50, 9, 3), draw(50, 9, 3));
        assert_ne!(draw(50, 9, 3), draw(50, 9, 4));
        assert!(draw(500, 9, 3).iter().all(|number| *number < 9));
    }
}
