//! The files of the tour's report: BED, bedGraph and an SVG plot.

use std::ops::Range;

pub(crate) mod bed;
pub(crate) mod bedgraph;
pub(crate) mod composition;
pub(crate) mod svg;

/// Divides `0..length` into at most `count` bins, none empty, whose widths differ by at most one.
pub(crate) fn bins(length: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let count = count.min(length);
    let bound = move |i: usize| (i as u128 * length as u128 / count as u128) as usize;
    (0..count).map(move |i| bound(i)..bound(i + 1))
}

/// The mean of each of at most `count` bins of a signal, in `f64` and rounded once.
pub(crate) fn bin_means(signal: &[f32], count: usize) -> impl Iterator<Item = (Range<usize>, f32)> {
    bins(signal.len(), count).map(|bin| {
        let sum: f64 = signal[bin.clone()].iter().map(|&value| f64::from(value)).sum();
        let mean = (sum / bin.len() as f64) as f32;
        (bin, mean)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn means_are_of_their_bins() {
        let means: Vec<_> = bin_means(&[1.0, 2.0, 3.0, 5.0, 7.0], 2).collect();
        assert_eq!(means, [(0..2, 1.5), (2..5, 5.0)]);
        assert_eq!(bin_means(&[], 2).count(), 0);
    }

    proptest! {
        #[test]
        fn bins_tile_the_length(length in 0_usize..1000, count in 1_usize..1500) {
            let mut at = 0;
            for bin in bins(length, count) {
                prop_assert_eq!(bin.start, at);
                prop_assert!(!bin.is_empty() && bin.len() <= length / count + 1);
                at = bin.end;
            }
            prop_assert_eq!(at, length);
        }
    }
}
