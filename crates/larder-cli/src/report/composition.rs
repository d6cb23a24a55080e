//! The composition of each record as a table, which also names the dimensions of the embeddings.

use std::io::{self, Write};

use crate::genome::{Record, tetra};

/// Writes tab-separated values: a head with the names of the records, then a row for each canonical
/// tetranucleotide, in the order of an embedding's dimensions, with its share in each record.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(out: &mut impl Write, records: &[Record]) -> io::Result<()> {
    let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
    writeln!(out, "tetranucleotide\t{}", names.join("\t"))?;
    let shares: Vec<_> =
        records.iter().map(|record| tetra::frequencies(&record.sequence)).collect();
    for (dimension, name) in tetra::dimension_names().enumerate() {
        let row: Vec<String> = shares.iter().map(|shares| shares[dimension].to_string()).collect();
        writeln!(out, "{name}\t{}", row.join("\t"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::Genome;

    #[test]
    fn names_every_dimension_and_sums_to_one() {
        let mut out = Vec::new();
        write(&mut out, &Genome::lambda().unwrap().records).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rows: Vec<_> = text.lines().skip(1).map(|row| row.split_once('\t').unwrap()).collect();
        assert_eq!((rows.len(), rows[0].0, rows[135].0), (136, "AAAA", "TTAA"));
        let sum: f64 = rows.iter().map(|(_, share)| share.parse::<f64>().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
}
