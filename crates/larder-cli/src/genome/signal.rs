//! Base composition along a sequence: GC content, GC skew and cumulative skew.
//!
//! The windowed signals have one value per base. The value at `i` is over the window of `window`
//! bases centred there, `i - window / 2 .. i - window / 2 + window`, clipped at both ends of the
//! sequence. Counts are exact integers; only the final ratio is rounded, to `f32`. Letters other
//! than A, C, G, T and U are not counted.

use super::base::code;
use crate::report::bins;

/// How often each of A, C, G, T and "anything else" occurs.
type Counts = [usize; 5];

/// The fraction of G and C among the unambiguous bases of a sequence, 0 to 1; 0 if it has none.
pub(crate) fn gc_fraction(sequence: &[u8]) -> f64 {
    let mut counts = Counts::default();
    for &base in sequence {
        counts[usize::from(code(base))] += 1;
    }
    gc_of(&counts)
}

/// GC content per base: the fraction, 0 to 1, of G and C among the unambiguous bases of the
/// centred window; 0 where it has none.
pub(crate) fn gc_content(sequence: &[u8], window: usize) -> Vec<f32> {
    centred(sequence, window, gc_of)
}

/// GC skew per base: `(G - C) / (G + C)`, -1 to 1, of the centred window; 0 where it has neither.
pub(crate) fn gc_skew(sequence: &[u8], window: usize) -> Vec<f32> {
    centred(sequence, window, |&[_, c, g, _, _]| ratio(g as f64 - c as f64, g + c))
}

/// Cumulative skew: how many more G than C there are from the start of the sequence to the end of
/// each of at most `points` equal bins, in bases.
///
/// In many bacteria its minimum lies at the origin of replication and its maximum at the terminus.
pub(crate) fn cumulative_skew(sequence: &[u8], points: usize) -> Vec<i64> {
    let mut excess = 0;
    bins(sequence.len(), points)
        .map(|bin| {
            for base in &sequence[bin] {
                excess += i64::from(*base == b'G') - i64::from(*base == b'C');
            }
            excess
        })
        .collect()
}

fn gc_of(&[a, c, g, t, _]: &Counts) -> f64 {
    ratio((g + c) as f64, a + c + g + t)
}

fn ratio(part: f64, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}

/// Slides the centred window over the sequence, adding and removing each base once.
fn centred(sequence: &[u8], window: usize, value: impl Fn(&Counts) -> f64) -> Vec<f32> {
    let before = window / 2;
    let after = window - before;
    let mut counts = Counts::default();
    let (mut low, mut high) = (0, 0);
    (0..sequence.len())
        .map(|i| {
            let end = i.saturating_add(after).min(sequence.len());
            while high < end {
                counts[usize::from(code(sequence[high]))] += 1;
                high += 1;
            }
            while low < i.saturating_sub(before) {
                counts[usize::from(code(sequence[low]))] -= 1;
                low += 1;
            }
            value(&counts) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::genome::Genome;

    #[test]
    fn small_windows_by_hand() {
        // Windows of two: [0,1) clipped, then [i-1, i+1).
        assert_eq!(gc_content(b"GATC", 2), [1.0, 0.5, 0.0, 0.5]);
        assert_eq!(gc_skew(b"GGCA", 2), [1.0, 1.0, 0.0, -1.0]);
        // Odd windows are exactly centred.
        assert_eq!(gc_content(b"GAAAG", 3), [0.5, 1.0 / 3.0, 0.0, 1.0 / 3.0, 0.5]);
        assert_eq!(cumulative_skew(b"GGCAC", 5), [1, 2, 1, 1, 0]);
        assert_eq!(cumulative_skew(b"GGCAGG", 2), [1, 3]);
    }

    #[test]
    fn windows_without_bases_are_zero() {
        assert_eq!(gc_content(b"NNN", 2), [0.0; 3]);
        assert_eq!(gc_skew(b"ATN", 3), [0.0; 3]);
        assert_eq!(gc_content(b"GC", 0), [0.0; 2]);
        assert!(gc_content(b"", 10).is_empty());
        assert!(cumulative_skew(b"", 10).is_empty());
    }

    #[test]
    fn lambda_is_49_86_percent_gc() {
        let lambda = Genome::lambda().unwrap();
        let sequence = &lambda.records[0].sequence;
        let fraction = gc_fraction(sequence);
        assert_eq!(format!("{:.2}", 100.0 * fraction), "49.86");
        let whole = gc_content(sequence, 2 * sequence.len());
        assert!(whole.iter().all(|&gc| gc == fraction as f32));
    }

    proptest! {
        #[test]
        fn sliding_equals_counting_each_window(
            sequence in proptest::collection::vec(proptest::sample::select(&b"ACGTN"[..]), 0..200),
            window in 0_usize..250,
        ) {
            let content = gc_content(&sequence, window);
            let skew = gc_skew(&sequence, window);
            prop_assert_eq!(content.len(), sequence.len());
            for i in 0..sequence.len() {
                let end = (i + window - window / 2).min(sequence.len());
                let part = &sequence[i.saturating_sub(window / 2)..end];
                let count = |base| part.iter().filter(|&&b| b == base).count() as f64;
                let (g, c) = (count(b'G'), count(b'C'));
                prop_assert_eq!(content[i], gc_fraction(part) as f32);
                let expected = if g + c == 0.0 { 0.0 } else { (g - c) / (g + c) };
                prop_assert_eq!(skew[i], expected as f32);
            }
        }
    }
}
