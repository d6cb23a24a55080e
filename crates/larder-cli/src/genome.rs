//! The biology of the tour: a genome read from FASTA and what is derived from it.
//!
//! Everything here is a pure function of its arguments; only [`fasta::read`] touches a file.

pub(crate) mod base;
pub(crate) mod fasta;
pub(crate) mod orf;
pub(crate) mod protein;
pub(crate) mod signal;
pub(crate) mod tetra;

/// The tour's default input: the complete genome of bacteriophage lambda, NC_001416.1.
const LAMBDA: &[u8] = include_bytes!("../data/lambda_phage.fa");

/// A genome: one or more sequence records under one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Genome {
    /// The accession or the name of the file without its extensions.
    pub(crate) name: String,
    /// The records in file order: at least one, each with its own name.
    pub(crate) records: Vec<Record>,
}

/// One sequence of a genome: a chromosome, a plasmid or a contig.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    /// The text between `>` and the first white space.
    pub(crate) name: String,
    /// Upper-case IUPAC nucleotide codes, at least one.
    pub(crate) sequence: Vec<u8>,
}

impl Genome {
    /// The genome of bacteriophage lambda (NC_001416.1), which is part of the program.
    pub(crate) fn lambda() -> larder::storage::Result<Self> {
        fasta::parse("NC_001416.1", LAMBDA)
    }
}
