use serde::{Deserialize, Serialize};

/// What a lookup of a gene's sequences gave, as VmaxBuilder stores it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneSequenceResult {
    /// The gene's symbol, such as `BRCA2`.
    pub gene_symbol: String,
    /// The sequences that were found.
    #[serde(default)]
    pub sequences: Vec<SequenceRecord>,
    /// What went wrong, in the words of the service.
    #[serde(default)]
    pub errors: Vec<String>,
}

/// One sequence of a gene.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceRecord {
    /// The letters.
    pub sequence: String,
    /// The service that it comes from, such as `uniprot`.
    pub source: String,
    /// Its name there.
    pub accession: Option<String>,
    /// Whether the service holds it for the gene's main one.
    #[serde(default)]
    pub is_canonical: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_the_python_package_does() {
        let text = r#"{"gene_symbol":"BRCA2","sequences":[{"sequence":"MPIG","source":"uniprot","accession":"P51587","is_canonical":true},{"sequence":"M","source":"ensembl","accession":null,"is_canonical":false}],"errors":["timeout"]}"#;
        let result: GeneSequenceResult = serde_json::from_str(text).unwrap();
        assert_eq!(result.sequences[0].accession.as_deref(), Some("P51587"));
        assert_eq!(serde_json::to_string(&result).unwrap(), text);
    }
}
