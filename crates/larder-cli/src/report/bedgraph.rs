//! Signals as the lines of a bedGraph file.

use larder::provenance::{Run, Runs, Signal};

use super::bin_means;

/// The signal of one record, one value per base, as the means of at most `max_bins` equal bins, rounded to six decimals;
/// neighbours of equal value are one run.
pub(crate) fn runs(Signal { chrom, values }: &Signal, max_bins: usize) -> Runs {
    let mut runs = Vec::<Run>::new();
    for (bin, mean) in bin_means(values, max_bins) {
        let value = (f64::from(mean) * 1e6).round() / 1e6;
        let end = bin.end as u64;
        match runs.last_mut() {
            Some(last) if last.value == value => last.end = end,
            _ => runs.push(Run { start: bin.start as u64, end, value }),
        }
    }
    Runs { chrom: chrom.clone(), runs }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(values: &[f32], max_bins: usize) -> Vec<(u64, u64, f64)> {
        let signal = Signal { chrom: "chr1".to_owned(), values: values.to_vec() };
        runs(&signal, max_bins).runs.iter().map(|run| (run.start, run.end, run.value)).collect()
    }

    #[test]
    fn runs_of_equal_values_are_one() {
        let signal = [0.5, 0.5, -0.25, 0.1];
        assert_eq!(lines(&signal, 9), [(0, 2, 0.5), (2, 3, -0.25), (3, 4, 0.1)]);
        assert_eq!(lines(&signal, 2), [(0, 2, 0.5), (2, 4, -0.075)]);
        assert_eq!(lines(&[0.0; 1000], 1000), [(0, 1000, 0.0)]);
        assert_eq!(lines(&[], 5), []);
    }

    proptest! {
        #[test]
        fn every_base_has_its_value(signal in proptest::collection::vec(-1.0_f32..1.0, 0..200)) {
            let mut read = Vec::new();
            for (start, end, value) in lines(&signal, 200) {
                prop_assert_eq!(start as usize, read.len());
                read.resize(end as usize, value);
            }
            prop_assert_eq!(read.len(), signal.len());
            prop_assert!(read.iter().zip(signal).all(|(a, b)| (a - f64::from(b)).abs() < 1e-6));
        }
    }
}
