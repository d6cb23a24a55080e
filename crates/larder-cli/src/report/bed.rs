//! Open reading frames as the lines of a BED file.

use larder::provenance::{Interval, Strand};

use crate::genome::orf::{self, Orf};

/// The open reading frame of a record as a feature, with the name `record:start-end(strand)`.
pub(crate) fn interval(record: &str, orf: &Orf) -> Interval {
    Interval {
        chrom: record.to_owned(),
        start: orf.start as u64,
        end: orf.end as u64,
        name: Some(format!("{record}:{orf}")),
        score: None,
        strand: match orf.strand {
            orf::Strand::Forward => Strand::Forward,
            orf::Strand::Reverse => Strand::Reverse,
        },
    }
}

/// As [`interval`], with the number of amino acids as score, at most 1000 as BED allows.
pub(crate) fn scored(record: &str, orf: &Orf) -> Interval {
    Interval { score: Some(orf.codons().min(1000) as f64), ..interval(record, orf) }
}

#[cfg(test)]
mod tests {
    use larder::provenance::IntervalTrack;

    use super::*;

    #[test]
    fn lines_have_six_columns() {
        let long = Orf { start: 0, end: 6000, strand: orf::Strand::Forward, frame: 1 };
        let found = orf::find(b"CTTACATTTTCATG", 1);
        let mut intervals: Vec<_> = found.iter().map(|orf| scored("chr1", orf)).collect();
        intervals.push(scored("chr2", &long));
        let mut out = Vec::new();
        IntervalTrack { label: "orfs".into(), intervals }.write_bed(&mut out).unwrap();
        let expected = "chr1\t1\t13\tchr1:1-13(-)\t3\t-\nchr2\t0\t6000\tchr2:0-6000(+)\t1000\t+\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
