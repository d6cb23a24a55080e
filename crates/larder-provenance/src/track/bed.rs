//! BED: features as lines of text.

use std::io::{self, BufRead, Write};

use larder_storage::{Error, Result};

use super::{
    Chroms, Interval, IntervalTrack, Strand, TrackLabel, invalid,
    lines::{Line, Lines, Shortest, check_chrom},
};

impl IntervalTrack {
    /// Reads BED: chromosome, start and end, then name, score and strand as far as they are there. Further columns are not
    /// kept. A dot says that there is no name, score or strand. Columns lie between tabs, or between spaces on a line
    /// without tabs; empty lines, comments, `track` and `browser` lines are passed over. Without `chroms` the features are
    /// not checked against any.
    ///
    /// # Errors
    ///
    /// `Invalid` where a line has too few columns, something else than a number or a strand in one, or no bases of a
    /// chromosome; the message has the line, from 1 on. `Io` where the reader fails.
    pub fn read_bed(
        reader: impl BufRead,
        label: impl Into<TrackLabel>,
        chroms: &Chroms,
    ) -> Result<Self> {
        let (mut lines, mut intervals) = (Lines::new(reader), Vec::new());
        while let Some(line) = lines.next()? {
            intervals.push(interval(&line, chroms)?);
        }
        Ok(Self { label: label.into(), intervals })
    }

    /// Writes BED, in the order of the track: three columns between tabs, or as many up to six as hold the names, scores
    /// and strands that there are. Where a column is needed, a missing name is written as `.` and a missing score, as the
    /// specification says, as `0`, which is what it comes back as. A score is written as it is, while some programs take
    /// whole numbers of 0 to 1000 alone.
    ///
    /// # Errors
    ///
    /// `Invalid` where the track is not well formed, or a name cannot be a column: one that is empty, a dot or has a tab, a
    /// chromosome with white space; the message has the interval or the chromosome. `Io` where the writer fails.
    pub fn write_bed(&self, mut out: impl Write) -> Result<()> {
        let columns = self.intervals.iter().map(columns).max().unwrap_or_default();
        for (index, interval) in self.intervals.iter().enumerate() {
            interval.check("interval", index, &Chroms::new())?;
            check_chrom(&interval.chrom)?;
            check_name(interval, index)?;
            write_line(interval, columns, &mut out)
                .map_err(|error| Error::io(error, "cannot write the BED text"))?;
        }
        Ok(())
    }
}

fn interval(line: &Line<'_>, chroms: &Chroms) -> Result<Interval> {
    let (chrom, bases) = line.place(chroms)?;
    let score = line.column(4).map(|score| line.number("score", score)).transpose()?;
    let strand = match line.column(5) {
        None => Strand::Unstranded,
        Some(sign) => Strand::from_sign(sign)
            .ok_or_else(|| line.wrong(format_args!("has the strand {sign:?}: write +, - or .")))?,
    };
    Ok(Interval {
        chrom: chrom.to_owned(),
        start: bases.start,
        end: bases.end,
        name: line.column(3).map(str::to_owned),
        score,
        strand,
    })
}

/// How many columns hold what there is of the interval.
fn columns(interval: &Interval) -> usize {
    match interval {
        Interval { strand: Strand::Forward | Strand::Reverse, .. } => 6,
        Interval { score: Some(_), .. } => 5,
        Interval { name: Some(_), .. } => 4,
        _ => 3,
    }
}

fn check_name(interval: &Interval, index: usize) -> Result<()> {
    match interval.name.as_deref() {
        Some(name)
            if matches!(name, "" | ".")
                || name != name.trim_ascii_end()
                || name.contains(char::is_control) =>
        {
            Err(invalid(format!(
                "interval {index} has the name {name:?}, which no column of BED can hold: change it"
            )))
        }
        _ => Ok(()),
    }
}

fn write_line(interval: &Interval, columns: usize, out: &mut impl Write) -> io::Result<()> {
    let Interval { chrom, start, end, name, score, strand } = interval;
    write!(out, "{chrom}\t{start}\t{end}")?;
    if columns > 3 {
        write!(out, "\t{}", name.as_deref().unwrap_or("."))?;
    }
    if columns > 4 {
        write!(out, "\t{}", Shortest(score.unwrap_or_default()))?;
    }
    if columns > 5 {
        write!(out, "\t{}", strand.as_str())?;
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use larder_storage::ErrorKind;
    use proptest::prelude::*;

    use super::*;

    fn chroms() -> Chroms {
        Chroms::from([("chr1".to_owned(), 100), ("chr2".to_owned(), 10)])
    }

    fn read(text: &str) -> Result<IntervalTrack> {
        IntervalTrack::read_bed(text.as_bytes(), "genes", &chroms())
    }

    fn written(intervals: Vec<Interval>) -> Result<String> {
        let mut out = Vec::new();
        IntervalTrack { label: "genes".into(), intervals }.write_bed(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn bare(chrom: &str, start: u64, end: u64) -> Interval {
        Interval { chrom: chrom.to_owned(), start, end, ..Interval::default() }
    }

    #[test]
    fn three_to_twelve_columns_between_tabs_or_spaces() {
        let text = "\u{feff}browser position chr1:1-100\r\ntrack name=genes\r\n# chr1\t0\t1\r\n\r\n\
            chr2\t0\t10\r\nchr1  5  9\tx\n  chr1 5 9 dnaA 960.5 +\n  \nchr1\t9\t9\tan insertion\t.\t-\n\
            chr1\t1\t90\t.\t0\t.\t1\t90\t255,0,0\t1\t89,\t0,";
        let error = read(text).unwrap_err();
        assert!(error.to_string().starts_with("line 6 has no three columns"), "{error}");
        let track = read(&text.replace("chr1  5  9\tx\n", "chr1  5  9\n")).unwrap();
        let named = |name: Option<&str>, score, strand, place| Interval {
            name: name.map(str::to_owned),
            score,
            strand,
            ..place
        };
        let expected = [
            bare("chr2", 0, 10),
            bare("chr1", 5, 9),
            named(Some("dnaA"), Some(960.5), Strand::Forward, bare("chr1", 5, 9)),
            named(Some("an insertion"), None, Strand::Reverse, bare("chr1", 9, 9)),
            named(None, Some(0.0), Strand::Unstranded, bare("chr1", 1, 90)),
        ];
        assert_eq!(track, IntervalTrack { label: "genes".into(), intervals: expected.into() });
        assert!(read("").unwrap().intervals.is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let bad = [
            ("chr1", "has no three columns"),
            ("chr1 1", "has no three columns"),
            ("chr1\t-1\t2", "has the start \"-1\""),
            ("chr1\t+1\t2", "has the start \"+1\""),
            ("chr1\t1\t18446744073709551616", "has the end \"18446744073709551616\""),
            ("chr1\t1\t1e2", "has the end \"1e2\""),
            ("chr1\t1\t", "has no three columns"),
            ("\tchr1\t1\t2", "has \"\" where a chromosome"),
            (" chr1\t1\t2", "has \" chr1\" where a chromosome"),
            ("chr1\t3\t2", "(\"chr1\":3-2) starts after its end"),
            ("chr1\t1\t101", "(\"chr1\":1-101) ends after the 100 bases of its chromosome"),
            ("chr3\t1\t2", "(\"chr3\":1-2) is on a chromosome that is not among those given"),
            ("chr1\t1\t2\tx\ty", "has the score \"y\", which is no finite number"),
            ("chr1\t1\t2\tx\tNaN", "has the score \"NaN\", which is no finite number"),
            ("chr1\t1\t2\tx\t1\t*", "has the strand \"*\": write +, - or ."),
        ];
        for (line, what) in bad {
            let error = read(&format!("#\n\nchr1\t0\t100\n{line}\nchr1\t0\t1\n")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().starts_with(&format!("line 4 {what}")), "{error}");
        }
        let error = IntervalTrack::read_bed(&b"chr1\t1\t2\n\xff"[..], "x", &chroms()).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is not UTF-8: is this text?");
        let anywhere = IntervalTrack::read_bed(&b"chr9\t1\t999"[..], "x", &Chroms::new());
        assert_eq!(anywhere.unwrap().intervals, [bare("chr9", 1, 999)]);
    }

    #[test]
    fn as_many_columns_are_written_as_are_needed() {
        let (one, two) = (bare("chr1", 0, 1), bare("chr2", 2, 3));
        assert_eq!(written(vec![]).unwrap(), "");
        assert_eq!(written(vec![one.clone(), two.clone()]).unwrap(), "chr1\t0\t1\nchr2\t2\t3\n");
        let named = Interval { name: Some("a b".to_owned()), ..two.clone() };
        assert_eq!(written(vec![one.clone(), named]).unwrap(), "chr1\t0\t1\t.\nchr2\t2\t3\ta b\n");
        let scored = Interval { score: Some(1e-300), ..two.clone() };
        let text = written(vec![one.clone(), scored]).unwrap();
        assert_eq!(text, "chr1\t0\t1\t.\t0\nchr2\t2\t3\t.\t1e-300\n");
        let reverse = Interval { strand: Strand::Reverse, ..two };
        let text = written(vec![one, reverse]).unwrap();
        assert_eq!(text, "chr1\t0\t1\t.\t0\t.\nchr2\t2\t3\t.\t0\t-\n");
    }

    #[test]
    fn what_bed_cannot_hold_is_refused() {
        let names = ["", ".", "a\tb", "a\nb", "a "]
            .map(|name| Interval { name: Some(name.to_owned()), ..bare("chr1", 0, 1) });
        let chroms = ["", "chr 1", "#chr1", "track", "a\tb"].map(|chrom| bare(chrom, 0, 1));
        let score = Interval { score: Some(f64::INFINITY), ..bare("chr1", 0, 1) };
        for interval in names.into_iter().chain(chroms).chain([score, bare("chr1", 2, 1)]) {
            let error = written(vec![interval]).unwrap_err();
            assert_eq!((error.kind(), error.to_string().lines().count()), (ErrorKind::Invalid, 1));
        }
        let full: &mut [u8] = &mut [0; 4];
        let track = IntervalTrack { label: "x".into(), intervals: vec![bare("chr1", 0, 1)] };
        assert_eq!(track.write_bed(full).unwrap_err().kind(), ErrorKind::Io);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec(
            ("[a-z][!-~é]{0,5}", any::<u64>(), any::<u64>(), "[!-~][ -~é]{0,5}[!-~]", any::<f64>(), 0..3_usize), 0..9,
        )) {
            let strands = [Strand::Forward, Strand::Reverse, Strand::Unstranded];
            let row = |(chrom, a, b, name, score, strand): (_, u64, u64, _, f64, usize)| Interval {
                chrom,
                start: a.min(b),
                end: a.max(b),
                name: Some(name),
                score: Some(if score.is_finite() { score } else { 0.5 }),
                strand: strands[strand],
            };
            let intervals: Vec<_> = rows.into_iter().map(row).collect();
            let text = written(intervals.clone()).unwrap();
            let read = IntervalTrack::read_bed(text.as_bytes(), "x", &Chroms::new()).unwrap();
            prop_assert_eq!(read.intervals, intervals);
        }

        #[test]
        fn any_text_is_read_or_refused_with_its_line(text in "(chr1|#|track)?[\t\n\r 0-9a-z.+-]{0,80}") {
            if let Err(error) = read(&text) {
                let line = error.to_string();
                prop_assert!(line.starts_with("line ") && line.lines().count() == 1, "{line}");
            }
        }
    }
}
