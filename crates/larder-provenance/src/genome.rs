//! Genomes: named sequences, and features of them.

use std::{
    collections::HashSet,
    io::{Read, Write},
    path::Path,
    time::SystemTime,
};

use larder_storage::{Digest, Error, ErrorKind, Result};

use crate::{
    Chroms, Id, Interval, Options, Outcome, Payload, Provenance, ProvenanceStore, Record, Stored,
    payload::from_json, store::Made,
};

mod fasta;
mod format;
#[cfg(test)]
mod tests;

pub use format::GENOME_FORMAT_VERSION;
use format::Summary;

/// A genome: sequences by name, in an order that is kept, and what is known to lie on them.
///
/// ```
/// use larder_provenance::Genome;
///
/// let genome = Genome::read_fasta(&b">chr1 first\nATCG\nAT\n>chr2\ncc\n"[..], "test")?;
/// assert_eq!(genome.chrom_lengths()["chr1"], 6);
///
/// let mut text = Vec::new();
/// genome.write_fasta(&mut text)?;
/// assert_eq!(text, b">chr1\nATCGAT\n>chr2\ncc\n");
/// # Ok::<_, larder_storage::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Genome {
    /// The name of the genome.
    pub name: String,
    /// The name of each chromosome and its bases: ASCII letters of either case, `*` and `-`.
    pub sequences: Vec<(String, Vec<u8>)>,
    /// Features of the chromosomes, such as genes, in an order that is kept; often none.
    pub annotations: Vec<Interval>,
}

impl Genome {
    /// The length of each chromosome in bases.
    pub fn chrom_lengths(&self) -> Chroms {
        self.sequences.iter().map(|(name, bases)| (name.clone(), bases.len() as u64)).collect()
    }

    /// Reads the sequences of a genome from FASTA text, and calls it `name`. A chromosome has the name between `>` and
    /// the first white space; what follows on that line is not kept, while the case of the bases is. White space in a
    /// sequence, ends of lines of either kind and a byte order mark do not matter. The whole text is in memory meanwhile.
    ///
    /// # Errors
    ///
    /// `Invalid` where there is nothing, the text does not start with `>`, or a record has no name, the name of an
    /// earlier one, no sequence, or something in it that is no base; the message has the record. `Io` where the reader
    /// fails.
    pub fn read_fasta(reader: impl Read, name: impl Into<String>) -> Result<Self> {
        let sequences = fasta::read(reader)?;
        Ok(Self { name: name.into(), sequences, annotations: Vec::new() })
    }

    /// Writes the sequences as FASTA: for each one a line `>name`, then its bases on lines of 60.
    ///
    /// # Errors
    ///
    /// `Invalid` as [`check`](Self::check); `Io` where the writer fails.
    pub fn write_fasta(&self, mut out: impl Write) -> Result<()> {
        self.check()?;
        format::write(&self.sequences, &mut out)
            .map_err(|error| Error::io(error, "cannot write the FASTA text"))
    }

    /// Checks that FASTA can hold the genome, that its chromosomes are told apart, and that its annotations lie on them.
    ///
    /// # Errors
    ///
    /// `Invalid` where a name is empty, holds white space or control characters or is there twice, a sequence is
    /// empty or holds something that is no base, or an annotation lies on no bases that are there.
    pub fn check(&self) -> Result<()> {
        self.check_sequences()?;
        if self.sequences.is_empty() && !self.annotations.is_empty() {
            return Err(invalid(
                "the genome has annotations and no sequences that they could lie on",
            ));
        }
        let chroms = self.chrom_lengths();
        let mut annotations = self.annotations.iter().enumerate();
        annotations.try_for_each(|(index, it)| it.check("annotation", index, &chroms))
    }

    fn check_sequences(&self) -> Result<()> {
        let mut names = HashSet::new();
        for (index, (name, bases)) in self.sequences.iter().enumerate() {
            let wrong = |what: String| Err(invalid(&format!("sequence {index} ({name:?}) {what}")));
            if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return wrong("has a name that is empty or holds white space".to_owned());
            }
            if !names.insert(name) {
                return wrong("has the name of an earlier one".to_owned());
            }
            if bases.is_empty() {
                return wrong("is empty".to_owned());
            }
            if let Some(at) = bases.iter().position(|base| !format::is_base(*base)) {
                return wrong(format!(
                    "holds {:?} at base {at}, which is no base",
                    char::from(bases[at])
                ));
            }
        }
        Ok(())
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

/// Genomes by id.
///
/// ```
/// use larder_provenance::{Genome, GenomeStore};
///
/// let store = GenomeStore::in_memory();
/// let genome = Genome { name: "test".to_owned(), sequences: vec![("chr1".to_owned(), b"ATCG".to_vec())], ..Genome::default() };
/// let id = store.import(genome.clone())?.id;
/// assert_eq!(store.import(genome)?.id, id);
/// assert_eq!(store.get(id)?.unwrap().chrom_lengths()["chr1"], 4);
/// # Ok::<_, larder_storage::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GenomeStore {
    store: ProvenanceStore<Genome>,
}

/// A genome of a [`GenomeStore`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredGenome {
    /// Its id.
    pub id: Id,
    /// The genome itself.
    pub genome: Genome,
    /// When it was stored.
    pub created_at: SystemTime,
}

impl StoredGenome {
    /// The length of each chromosome in bases.
    pub fn chrom_lengths(&self) -> Chroms {
        self.genome.chrom_lengths()
    }
}

/// What a listing says of a genome, without its bases.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GenomeRecord {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// The name and the length in bases of each chromosome, in the order of the genome.
    pub chroms: Vec<(String, u64)>,
    /// How many annotations there are.
    pub annotations: usize,
    /// When it was stored.
    pub created_at: SystemTime,
}

impl GenomeStore {
    /// The operation in the provenance of a genome that was [imported](Self::import).
    pub const IMPORT: &'static str = "import genome";

    /// An empty store that lives as long as its clones.
    pub fn in_memory() -> Self {
        Self::new(ProvenanceStore::in_memory())
    }

    /// Opens the store in the local directory `dir`, and makes it where it is missing.
    ///
    /// # Errors
    ///
    /// As [`ProvenanceStore::open`].
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        ProvenanceStore::open(dir, options).map(Self::new)
    }

    /// The genomes of a store that is open already, such as a [view](ProvenanceStore::view) of another one.
    pub fn new(store: ProvenanceStore<Genome>) -> Self {
        Self { store }
    }

    /// The store underneath, where genomes may have any provenance.
    pub fn store(&self) -> &ProvenanceStore<Genome> {
        &self.store
    }

    /// Stores a genome under a new id; [`import`](Self::import) finds an equal one instead. Equal sequences are on disk
    /// once in any case.
    ///
    /// # Errors
    ///
    /// `Invalid` as [`Genome::check`]; otherwise as [`ProvenanceStore::put`].
    pub fn put(&self, genome: Genome) -> Result<Id> {
        self.store.put(genome, None)
    }

    /// Stores a genome unless an equal one, of the same name, was imported before; `computed` says whether it was
    /// stored now. Its provenance is the operation [`IMPORT`](Self::IMPORT) with the digest of its payload as input
    /// and its name as the parameter `name`.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn import(&self, genome: Genome) -> Result<Outcome<Genome>> {
        let encoded = genome.encode()?;
        let content = Digest::of(&encoded.bytes);
        let provenance =
            Provenance::new(Self::IMPORT).input(content).param("name", genome.name.as_str());
        self.store.get_or_make(&provenance, || Ok(Made { payload: genome, encoded, cost: None }))
    }

    /// The genome, or `None` where there is none of this id.
    ///
    /// # Errors
    ///
    /// As [`ProvenanceStore::get`].
    pub fn get(&self, id: Id) -> Result<Option<StoredGenome>> {
        let stored = self.store.get(id)?;
        Ok(stored.map(|Stored { id, payload, created_at, .. }| StoredGenome {
            id,
            genome: payload,
            created_at,
        }))
    }

    /// Removes the genome; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`ProvenanceStore::delete`].
    pub fn delete(&self, id: Id) -> Result<bool> {
        self.store.delete(id)
    }

    /// All genomes without their bases, the oldest first.
    pub fn list_all(&self) -> impl Iterator<Item = Result<GenomeRecord>> + '_ {
        self.store.list().map(|record| {
            let record = record?;
            let Summary { name, chroms, annotations } = from_json(record.summary.as_bytes())?;
            let Record { id, created_at, .. } = record;
            Ok(GenomeRecord { id, name, chroms, annotations, created_at })
        })
    }
}
