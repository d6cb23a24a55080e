/// Whose rows a shard holds. A text is the name of a contig.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Those of one contig, or of one document: its name is the `chrom` of every row.
    Contig(String),
    /// Those of a collection of this name, such as one of many short documents: the `chrom` of each row says which.
    Collection(String),
}

impl Group {
    /// The name of the contig or of the collection.
    pub fn name(&self) -> &str {
        match self {
            Self::Contig(name) | Self::Collection(name) => name,
        }
    }

    /// Whether a row with this `chrom` belongs there.
    pub(crate) fn holds(&self, chrom: &str) -> bool {
        match self {
            Self::Contig(name) => name == chrom,
            Self::Collection(_) => true,
        }
    }
}

impl From<String> for Group {
    fn from(contig: String) -> Self {
        Self::Contig(contig)
    }
}

impl From<&str> for Group {
    fn from(contig: &str) -> Self {
        Self::Contig(contig.to_owned())
    }
}
