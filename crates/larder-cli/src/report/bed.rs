//! BED6: intervals as tab-separated text, positions from 0 and half-open.

use std::io::{self, Write};

use crate::genome::orf::Orf;

/// Writes the open reading frames of one record, one line each: the record's name, start, end, a
/// name (`record:start-end(strand)`), a score and the strand.
///
/// The score is the number of amino acids, at most 1000 as BED allows.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write(out: &mut impl Write, record: &str, orfs: &[Orf]) -> io::Result<()> {
    for orf in orfs {
        let (start, end, strand) = (orf.start, orf.end, orf.strand.symbol());
        let score = orf.codons().min(1000);
        writeln!(out, "{record}\t{start}\t{end}\t{record}:{orf}\t{score}\t{strand}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::orf::{self, Strand};

    #[test]
    fn lines_have_six_columns() {
        let long = Orf { start: 0, end: 6000, strand: Strand::Forward, frame: 1 };
        let mut out = Vec::new();
        write(&mut out, "chr1", &orf::find(b"CTTACATTTTCATG", 1)).unwrap();
        write(&mut out, "chr2", &[long]).unwrap();
        let expected = "chr1\t1\t13\tchr1:1-13(-)\t3\t-\nchr2\t0\t6000\tchr2:0-6000(+)\t1000\t+\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
