use std::{collections::HashSet, ops::Range};

use larder_storage::Result;

use super::{Chroms, TrackLabel, check_place, invalid, wrong};

/// Numbers along chromosomes.
///
/// ```
/// use larder_provenance::{Chroms, Run, SignalTrack};
///
/// let chroms = Chroms::from([("chr1".to_owned(), 1000)]);
/// let bedgraph = "track type=bedGraph\nchr1\t0\t50\t0.25\nchr1\t50\t90\t3\n";
/// let coverage = SignalTrack::read_bedgraph(bedgraph.as_bytes(), "coverage", &chroms)?;
///
/// let found: Vec<_> = coverage.over("chr1", 60..70).collect();
/// assert_eq!(found, [Run { start: 50, end: 90, value: 3.0 }]);
/// # Ok::<_, larder_storage::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SignalTrack {
    /// The name of the track.
    pub label: TrackLabel,
    /// The numbers, which are kept to the bit.
    pub signals: Signals,
}

/// How the numbers of a [`SignalTrack`] lie.
#[derive(Clone, Debug, PartialEq)]
pub enum Signals {
    /// At regular steps: value `i` of a chromosome is of its bases from `i * step` on, `window` of them or fewer at the
    /// end.
    Steps {
        /// The bases from one value to the next, at least 1.
        step: u64,
        /// The bases that a value is of, at least 1.
        window: u64,
        /// The values of each chromosome.
        signals: Vec<Signal>,
    },
    /// Over stretches of any length, as in bedGraph and BigWig; each chromosome is there once.
    Runs(Vec<Runs>),
}

/// The values of one chromosome, at regular steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signal {
    /// The name of the chromosome.
    pub chrom: String,
    /// One value for each step.
    pub values: Vec<f32>,
}

/// The runs of one chromosome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs {
    /// The name of the chromosome.
    pub chrom: String,
    /// In the order of their starts. No two share a base, and between them there may be bases without a value.
    pub runs: Vec<Run>,
}

/// A value of the bases `start..end`, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Run {
    /// The first base.
    pub start: u64,
    /// The base after the last one.
    pub end: u64,
    /// The value of each of them.
    pub value: f64,
}

impl SignalTrack {
    /// The values that share a base with `range`, in their order and each with all of its own bases; the first one is found
    /// in `O(log n)`. The window of a value at regular steps may end after its chromosome does.
    pub fn over(&self, chrom: &str, range: Range<u64>) -> impl Iterator<Item = Run> + '_ {
        let (steps, runs) = match &self.signals {
            _ if range.is_empty() => (None, None),
            // No store takes it, and no base has a value.
            Signals::Steps { step: 0, .. } => (None, None),
            Signals::Steps { step, window, signals } => {
                let signal = signals.iter().find(|signal| signal.chrom == chrom);
                (signal.map(|signal| steps_over(&signal.values, *step, *window, &range)), None)
            }
            Signals::Runs(runs) => {
                let of_chrom = runs.iter().find(|runs| runs.chrom == chrom);
                (None, of_chrom.map(|of_chrom| runs_over(&of_chrom.runs, &range)))
            }
        };
        steps.into_iter().flatten().chain(runs.into_iter().flatten().copied())
    }

    pub(super) fn check(&self, chroms: &Chroms) -> Result<()> {
        let mut seen = HashSet::new();
        let mut once = |chrom| match seen.insert(chrom) {
            true => Ok(()),
            false => Err(invalid(format!("the signal of chromosome {chrom:?} is there twice"))),
        };
        match &self.signals {
            Signals::Steps { step: 0, .. } | Signals::Steps { window: 0, .. } => {
                Err(invalid("the step and the window of a signal are at least 1".to_owned()))
            }
            Signals::Steps { step, signals, .. } => signals.iter().try_for_each(|signal| {
                once(&signal.chrom)?;
                signal.check(*step, chroms)
            }),
            Signals::Runs(runs) => runs.iter().try_for_each(|runs| {
                once(&runs.chrom)?;
                runs.check(chroms)
            }),
        }
    }
}

impl Signal {
    fn check(&self, step: u64, chroms: &Chroms) -> Result<()> {
        let Self { chrom, values } = self;
        let wrong = |what: &str| Err(invalid(format!("the signal of chromosome {chrom:?} {what}")));
        let last = (values.len() as u64).saturating_sub(1).saturating_mul(step);
        match chroms.get(chrom) {
            None if chroms.is_empty() => Ok(()),
            None => wrong("is of none of those given"),
            Some(len) if !values.is_empty() && last >= *len => {
                let count = values.len();
                wrong(&format!("has {count} values, of which the last start after its {len} bases"))
            }
            Some(_) => Ok(()),
        }
    }
}

impl Runs {
    fn check(&self, chroms: &Chroms) -> Result<()> {
        let mut end_before = 0;
        for (index, Run { start, end, .. }) in self.runs.iter().enumerate() {
            let bases = *start..*end;
            check_place("run", index, &self.chrom, bases.clone(), chroms)?;
            let wrong = |message| Err(wrong("run", index, &self.chrom, &bases, message));
            if bases.is_empty() {
                return wrong("covers no base");
            }
            if *start < end_before {
                return wrong("starts before the end of the run before it");
            }
            end_before = *end;
        }
        Ok(())
    }
}

fn steps_over<'a>(
    values: &'a [f32],
    step: u64,
    window: u64,
    range: &Range<u64>,
) -> impl Iterator<Item = Run> + use<'a> {
    // The first window that ends after the start of the range, and the first one that starts at its end or later.
    let first = range.start.checked_sub(window).map_or(0, |start| start / step + 1);
    let after = range.end.div_ceil(step).min(values.len() as u64);
    (first..after).map(move |index| {
        let start = index * step;
        let end = start.saturating_add(window);
        Run { start, end, value: f64::from(values[index as usize]) }
    })
}

fn runs_over<'a>(runs: &'a [Run], range: &Range<u64>) -> &'a [Run] {
    let first = runs.partition_point(|run| run.end <= range.start);
    let after = runs.partition_point(|run| run.start < range.end);
    // None where runs are out of order, which no store takes.
    runs.get(first..after).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(step: u64, window: u64, count: u16) -> SignalTrack {
        let values = (0..count).map(f32::from).collect();
        let signals = vec![Signal { chrom: "a".to_owned(), values }];
        SignalTrack { label: "x".into(), signals: Signals::Steps { step, window, signals } }
    }

    #[test]
    fn odd_ranges_and_tracks_have_no_values() {
        let backwards =
            vec![Run { start: 5, end: 9, value: 0.0 }, Run { start: 0, end: 4, value: 0.0 }];
        let backwards = Signals::Runs(vec![Runs { chrom: "a".to_owned(), runs: backwards }]);
        for track in [
            steps(0, 1, 3),
            steps(u64::MAX, u64::MAX, 0),
            SignalTrack { label: "x".into(), signals: backwards },
        ] {
            assert_eq!(track.over("a", 4..5).count(), 0);
        }
        let track = steps(2, 2, 3);
        assert_eq!([track.over("b", 0..9).count(), track.over("a", 3..3).count()], [0, 0]);
        assert_eq!(steps(u64::MAX, u64::MAX, 2).over("a", 0..u64::MAX).count(), 1);
    }

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(step in 1..6_u64, window in 1..9_u64, count in 0..12_u16, start in 0..80_u64, len in 0..20_u64) {
            let track = steps(step, window, count);
            let all = (0..count).map(|index| {
                let start = u64::from(index) * step;
                Run { start, end: start + window, value: f64::from(index) }
            });
            let shares = |run: &Run| run.start.max(start) < run.end.min(start + len);
            let expected: Vec<_> = all.clone().filter(shares).collect();
            prop_assert_eq!(track.over("a", start..start + len).collect::<Vec<_>>(), expected.as_slice());
            if window <= step {
                let runs = Runs { chrom: "a".to_owned(), runs: all.collect() };
                let track = SignalTrack { label: "x".into(), signals: Signals::Runs(vec![runs]) };
                prop_assert_eq!(track.over("a", start..start + len).collect::<Vec<_>>(), expected);
            }
        }
    }
}
