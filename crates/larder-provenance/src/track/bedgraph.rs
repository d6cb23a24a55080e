//! bedGraph: values of stretches of chromosomes, as lines of text.

use std::{
    collections::HashMap,
    fmt, io,
    io::{BufRead, Write},
    iter,
};

use larder_storage::{Error, Result};

use super::{
    Chroms, Run, Runs, Signal, SignalTrack, Signals, TrackLabel, invalid,
    lines::{Line, Lines, Shortest, check_chrom},
};

impl SignalTrack {
    /// Reads bedGraph, as [runs](Signals::Runs): chromosome, start, end and value. The lines of a chromosome may come in any
    /// order. Columns lie between tabs, or between spaces on a line without tabs; empty lines, comments, `track` and
    /// `browser` lines are passed over. Without `chroms` the lines are not checked against any.
    ///
    /// # Errors
    ///
    /// `Invalid` where a line has not four columns, no finite number in one, or no bases of a chromosome, and where
    /// two lines share a base; the message has the line, from 1 on. `Io` where the reader fails.
    pub fn read_bedgraph(
        reader: impl BufRead,
        label: impl Into<TrackLabel>,
        chroms: &Chroms,
    ) -> Result<Self> {
        let (mut lines, mut found) = (Lines::new(reader), Found::default());
        while let Some(line) = lines.next()? {
            let (chrom, run) = run(&line, chroms)?;
            found.of(chrom).push((run, line.number));
        }
        let runs = found.chroms.into_iter().map(in_order).collect::<Result<_>>()?;
        Ok(Self { label: label.into(), signals: Signals::Runs(runs) })
    }

    /// Writes bedGraph, with a `track` line that has the label. Neighbours at regular steps that are equal share a line,
    /// and the last one ends with its chromosome where `chroms` says where that is. Each value reads back to the bit, those
    /// at regular steps as `f32`.
    ///
    /// # Errors
    ///
    /// `Invalid` where the track does not lie on `chroms`, and where it has what bedGraph cannot hold: windows
    /// that overlap, a value that is not finite, a chromosome with white space in its name. `Io` where the writer fails.
    pub fn write_bedgraph(&self, mut out: impl Write, chroms: &Chroms) -> Result<()> {
        self.check(chroms)?;
        let label = self.label.as_str().replace('"', "'").replace(char::is_control, " ");
        writeln!(out, "track type=bedGraph name=\"{label}\"").map_err(unwritable)?;
        match &self.signals {
            Signals::Steps { step, window, .. } if window > step => Err(invalid(format!(
                "bedGraph cannot hold windows that overlap: these have {window} bases, and one starts every {step}"
            ))),
            Signals::Steps { step, window, signals } => {
                signals.iter().try_for_each(|Signal { chrom, values }| {
                    let len = chroms.get(chrom).copied().unwrap_or(u64::MAX);
                    write_lines(chrom, merged(values, *step, *window, len), &mut out)
                })
            }
            Signals::Runs(runs) => runs.iter().try_for_each(|Runs { chrom, runs }| {
                let lines = runs.iter().map(|run| (run.start, run.end, run.value));
                write_lines(chrom, lines, &mut out)
            }),
        }
    }
}

/// The values of lines, each with the number of its line, by chromosome.
#[derive(Default)]
struct Found {
    /// In the order in which they came first.
    chroms: Vec<(String, Vec<(Run, usize)>)>,
    places: HashMap<String, usize>,
}

impl Found {
    fn of(&mut self, chrom: &str) -> &mut Vec<(Run, usize)> {
        let place = self.places.get(chrom).copied().unwrap_or_else(|| {
            self.places.insert(chrom.to_owned(), self.chroms.len());
            self.chroms.push((chrom.to_owned(), Vec::new()));
            self.chroms.len() - 1
        });
        &mut self.chroms[place].1
    }
}

fn run<'a>(line: &Line<'a>, chroms: &Chroms) -> Result<(&'a str, Run)> {
    let (chrom, bases) = line.place(chroms)?;
    let (Some(value), 4) = (line.column(3), line.len()) else {
        return Err(line.wrong("has not four columns: a chromosome, a start, an end and a value"));
    };
    if bases.is_empty() {
        return Err(line.wrong("covers no base: its end is to lie after its start"));
    }
    let value = line.number("value", value)?;
    Ok((chrom, Run { start: bases.start, end: bases.end, value }))
}

fn in_order((chrom, mut lines): (String, Vec<(Run, usize)>)) -> Result<Runs> {
    lines.sort_by_key(|(run, _)| run.start);
    for pair in lines.windows(2) {
        let [(before, first), (run, second)] = [pair[0], pair[1]];
        if run.start < before.end {
            let (first, second) = (first.min(second), first.max(second));
            return Err(invalid(format!(
                "line {second} shares bases of {chrom:?} with line {first}: in bedGraph a base has one value"
            )));
        }
    }
    Ok(Runs { chrom, runs: lines.into_iter().map(|(run, _)| run).collect() })
}

/// The values with their bases, those that are equal and next to each other as one; none ends after `len`.
fn merged(
    values: &[f32],
    step: u64,
    window: u64,
    len: u64,
) -> impl Iterator<Item = (u64, u64, f32)> {
    let start = move |index: usize| (index as u64).saturating_mul(step);
    let mut steps =
        values.iter().enumerate().map(move |(index, value)| (start(index), *value)).peekable();
    iter::from_fn(move || {
        let (start, value) = steps.next()?;
        let mut end = start.saturating_add(window);
        while steps.next_if_eq(&(end, value)).is_some() {
            end = end.saturating_add(window);
        }
        Some((start, end.min(len), value))
    })
}

fn write_lines<T: Copy + Into<f64> + fmt::Display + fmt::LowerExp>(
    chrom: &str,
    lines: impl Iterator<Item = (u64, u64, T)>,
    out: &mut impl Write,
) -> Result<()> {
    check_chrom(chrom)?;
    for (start, end, value) in lines {
        if !value.into().is_finite() {
            return Err(invalid(format!(
                "bedGraph cannot hold the value {value} of {chrom:?}:{start}-{end}: leave it out"
            )));
        }
        writeln!(out, "{chrom}\t{start}\t{end}\t{}", Shortest(value)).map_err(unwritable)?;
    }
    Ok(())
}

fn unwritable(error: io::Error) -> Error {
    Error::io(error, "cannot write the bedGraph text")
}

#[cfg(test)]
mod tests {
    use larder_storage::ErrorKind;
    use proptest::prelude::*;

    use super::*;

    fn chroms() -> Chroms {
        Chroms::from([("chr1".to_owned(), 100), ("chr2".to_owned(), 10)])
    }

    fn read(text: &str) -> Result<SignalTrack> {
        SignalTrack::read_bedgraph(text.as_bytes(), "gc", &chroms())
    }

    fn written(signals: Signals, chroms: &Chroms) -> Result<String> {
        let mut out = Vec::new();
        SignalTrack { label: "a \"b\"\n".into(), signals }.write_bedgraph(&mut out, chroms)?;
        let text = String::from_utf8(out).unwrap();
        Ok(text.strip_prefix("track type=bedGraph name=\"a 'b' \"\n").unwrap().to_owned())
    }

    fn steps(step: u64, window: u64, values: &[f32]) -> Signals {
        let signals = vec![Signal { chrom: "chr2".to_owned(), values: values.to_vec() }];
        Signals::Steps { step, window, signals }
    }

    fn runs(chrom: &str, runs: &[(u64, u64, f64)]) -> Runs {
        let run = |&(start, end, value)| Run { start, end, value };
        Runs { chrom: chrom.to_owned(), runs: runs.iter().map(run).collect() }
    }

    #[test]
    fn lines_of_any_order_become_runs() {
        let text = "browser hide all\ntrack type=bedGraph name=\"x\"\n#\nchr2 0 5 -1.5\r\n\
            chr1\t50\t60\t16777217\nchr1\t0\t50\t0.1\nchr2\t9\t10\t1e-300\n";
        let expected = vec![
            runs("chr2", &[(0, 5, -1.5), (9, 10, 1e-300)]),
            runs("chr1", &[(0, 50, 0.1), (50, 60, 16_777_217.0)]),
        ];
        assert_eq!(read(text).unwrap().signals, Signals::Runs(expected));
        assert_eq!(read("track\n").unwrap().signals, Signals::Runs(vec![]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let bad = [
            ("chr1\t1\t2", "has not four columns"),
            ("chr1\t1\t2\t.", "has not four columns"),
            ("chr1\t1\t2\t3\t4", "has not four columns"),
            ("chr1\t1\t2\tgene", "has the value \"gene\", which is no finite number"),
            ("chr1\t1\t2\tnan", "has the value \"nan\", which is no finite number"),
            ("chr1\t2\t2\t1", "covers no base"),
            ("chr1\t2\t101\t1", "(\"chr1\":2-101) ends after the 100 bases"),
            ("chr3\t0\t1\t1", "(\"chr3\":0-1) is on a chromosome that is not among those given"),
            ("chr1\t19\t30\t1", "shares bases of \"chr1\" with line 1"),
            ("chr1\t0\t11\t1", "shares bases of \"chr1\" with line 1"),
            ("chr1\t0\t100\t1", "shares bases of \"chr1\" with line 1"),
        ];
        for (line, what) in bad {
            let error = read(&format!("chr1\t10\t20\t1\nchr1\t90\t91\t1\n{line}\n")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let at_line = error.to_string().starts_with(&format!("line 3 {what}"));
            assert!(at_line, "{error}");
        }
    }

    #[test]
    fn steps_that_are_equal_share_a_line_and_end_with_the_chromosome() {
        let all = steps(3, 3, &[0.5, 0.5, -0.1, 0.5]);
        assert_eq!(
            written(all, &chroms()).unwrap(),
            "chr2\t0\t6\t0.5\nchr2\t6\t9\t-0.1\nchr2\t9\t10\t0.5\n"
        );
        let gaps = steps(3, 1, &[0.5, 0.5]);
        assert_eq!(written(gaps, &chroms()).unwrap(), "chr2\t0\t1\t0.5\nchr2\t3\t4\t0.5\n");
        let unbound = steps(3, 3, &[1e-7]);
        assert_eq!(written(unbound, &Chroms::new()).unwrap(), "chr2\t0\t3\t1e-7\n");
    }

    #[test]
    fn what_bedgraph_cannot_hold_is_refused() {
        let bad = [
            steps(3, 4, &[]),
            steps(3, 3, &[0.0, f32::NAN]),
            steps(3, 3, &[0.0; 5]),
            Signals::Runs(vec![runs("chr2", &[(0, 1, f64::INFINITY)])]),
            Signals::Runs(vec![runs("chr2", &[(5, 6, 0.0), (0, 1, 0.0)])]),
            Signals::Runs(vec![runs("chr2", &[(5, 11, 0.0)])]),
        ];
        for signals in bad {
            assert_eq!(written(signals, &chroms()).unwrap_err().kind(), ErrorKind::Invalid);
        }
        let odd = Signals::Runs(vec![runs("chr 2", &[])]);
        assert_eq!(written(odd, &Chroms::new()).unwrap_err().kind(), ErrorKind::Invalid);
        let full: &mut [u8] = &mut [0; 4];
        let track = SignalTrack { label: "x".into(), signals: Signals::Runs(vec![]) };
        assert_eq!(track.write_bedgraph(full, &chroms()).unwrap_err().kind(), ErrorKind::Io);
    }

    proptest! {
        #[test]
        fn runs_that_are_written_are_read(parts in prop::collection::vec((0..9_u64, 1..9_u64, any::<f64>()), 1..9)) {
            let mut at = 0;
            let parts: Vec<_> = parts
                .into_iter()
                .map(|(gap, len, value)| {
                    let start = at + gap;
                    at = start + len;
                    (start, at, if value.is_finite() { value } else { 0.5 })
                })
                .collect();
            let signals = Signals::Runs(vec![runs("chr9", &parts)]);
            let text = written(signals.clone(), &Chroms::new()).unwrap();
            let read = SignalTrack::read_bedgraph(text.as_bytes(), "x", &Chroms::new()).unwrap();
            prop_assert_eq!(read.signals, signals);
        }

        #[test]
        fn steps_that_are_written_read_back_base_by_base(values in prop::collection::vec(0..4_u8, 0..30), step in 1..4_u64) {
            let values: Vec<_> = values.iter().map(|value| f32::from(*value) / 10.0).collect();
            let signals = steps(step, step, &values);
            let text = written(signals.clone(), &Chroms::new()).unwrap();
            let read = SignalTrack::read_bedgraph(text.as_bytes(), "x", &Chroms::new()).unwrap();
            let track = SignalTrack { label: "x".into(), signals };
            for base in 0..step * values.len() as u64 + 1 {
                let [before, after] = [&track, &read].map(|track| {
                    track.over("chr2", base..base + 1).map(|run| run.value as f32).collect::<Vec<_>>()
                });
                prop_assert_eq!(before, after);
            }
        }
    }
}
