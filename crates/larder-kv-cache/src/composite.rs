use std::fmt::Write;

/// One key of several parts, which no other parts give: each stands behind its length in bytes.
///
/// ```
/// use larder_kv_cache::composite_key;
///
/// assert_eq!(composite_key(&["homo_sapiens", "BRCA2"]), "12:homo_sapiens5:BRCA2");
/// assert_ne!(composite_key(&["a:b", "c"]), composite_key(&["a", "b:c"]));
/// ```
///
/// Keys of the same first parts begin alike, so [`KvCache::keys_with_prefix`](crate::KvCache::keys_with_prefix) finds
/// them.
pub fn composite_key<S: AsRef<str>>(parts: &[S]) -> String {
    let mut key = String::new();
    for part in parts.iter().map(AsRef::as_ref) {
        // Writing to a string cannot fail.
        let _ = write!(key, "{}:{part}", part.len());
    }
    key
}

/// The key under which VmaxBuilder keeps a gene's sequences: `species:gene:mode`. Parts that hold a colon can make the
/// same key as others; [`composite_key`] has no such pair.
pub fn sequence_cache_key(species: &str, gene: &str, mode: &str) -> String {
    format!("{species}:{gene}:{mode}")
}

/// The key under which VmaxBuilder keeps a compound's SMILES: `database:id`, with the same weakness as
/// [`sequence_cache_key`].
pub fn smiles_cache_key(database: &str, id: &str) -> String {
    format!("{database}:{id}")
}
