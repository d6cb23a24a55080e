//! bedGraph: a signal as tab-separated text, positions from 0 and half-open.

use std::io::{self, Write};

use super::bin_means;

/// Writes the `track` line that names the signal; the lines of all records follow it.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write_header(out: &mut impl Write, name: &str, description: &str) -> io::Result<()> {
    let [name, description] = [name, description].map(|text| text.replace('"', "'"));
    writeln!(out, "track type=bedGraph name=\"{name}\" description=\"{description}\"")
}

/// Writes the signal of one record, one value per base, as the means of at most `max_bins` equal
/// bins; neighbours of equal value share a line. Values are exact: they read back as the same `f32`.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write(
    out: &mut impl Write,
    record: &str,
    signal: &[f32],
    max_bins: usize,
) -> io::Result<()> {
    let mut means = bin_means(signal, max_bins).peekable();
    while let Some((mut run, value)) = means.next() {
        while let Some((bin, _)) = means.next_if(|&(_, next)| next == value) {
            run.end = bin.end;
        }
        writeln!(out, "{record}\t{}\t{}\t{value}", run.start, run.end)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(signal: &[f32], max_bins: usize) -> String {
        let mut out = Vec::new();
        write(&mut out, "chr1", signal, max_bins).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn runs_of_equal_values_are_one_line() {
        let signal = [0.5, 0.5, -0.25, 0.5];
        assert_eq!(text(&signal, 9), "chr1\t0\t2\t0.5\nchr1\t2\t3\t-0.25\nchr1\t3\t4\t0.5\n");
        assert_eq!(text(&signal, 2), "chr1\t0\t2\t0.5\nchr1\t2\t4\t0.125\n");
        assert_eq!(text(&[0.0; 1000], 1000), "chr1\t0\t1000\t0\n");
        assert_eq!(text(&[], 5), "");
    }

    #[test]
    fn header_is_one_quoted_line() {
        let mut out = Vec::new();
        write_header(&mut out, "GC skew", "windows of \"500\" bp").unwrap();
        let line = "track type=bedGraph name=\"GC skew\" description=\"windows of '500' bp\"\n";
        assert_eq!(String::from_utf8(out).unwrap(), line);
    }

    proptest! {
        #[test]
        fn every_base_reads_back(signal in proptest::collection::vec(-1.0_f32..1.0, 0..200)) {
            let mut read = Vec::new();
            for line in text(&signal, 200).lines() {
                let fields: Vec<_> = line.split('\t').collect();
                let end: usize = fields[2].parse().unwrap();
                prop_assert_eq!(fields[1].parse::<usize>().unwrap(), read.len());
                read.resize(end, fields[3].parse::<f32>().unwrap());
            }
            prop_assert_eq!(read, signal);
        }
    }
}
