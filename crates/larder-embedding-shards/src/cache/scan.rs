use std::sync::Arc;

use larder_storage::Result;

use super::EmbeddingCache;
use crate::{Scan, ScanReader};

impl EmbeddingCache {
    /// All rows that `scan` asks for, as Arrow batches: shard by shard in the order of their paths, and in each as they
    /// lie there.
    ///
    /// One shard is open at a time, and one batch in memory. Shards and row groups whose statistics show that nothing in
    /// them is asked for are not read; in the others the narrow columns are, and the embeddings of those rows alone that
    /// are asked for. Embeddings of shards that Larder wrote are checked against their checksums. The statistics
    /// have none; [`verify`](Self::verify) does not use them.
    ///
    /// All batches have the schema of the first: the embedding is a fixed-size list of `Float16` (fp16, and all
    /// that the Python package wrote) or `Float32` (bf16 and fp32), and columns of the schema hold no nulls. Where no row is
    /// found, the width is 0.
    ///
    /// It is the shards that the index has now: what is written later is not found, what is in
    /// [`skipped`](Self::skipped) is not either, and a key that two shards hold comes twice. A shard that is removed before the
    /// scan comes to it is left out.
    ///
    /// # Errors
    ///
    /// Here as long as no row was found, and later from the reader, which then ends: `Corrupt` where a shard is
    /// damaged; `Format` where it is of a newer version; `Invalid` where it has no column that is asked for, or one of
    /// another type than the shards before, such as embeddings of another width; `Conflict` where a shard was
    /// removed and others were written, which may have its rows, as compaction does; `Io` or `Backend` where the index or
    /// the storage fails.
    pub fn scan(&self, scan: Scan) -> Result<ScanReader> {
        let mut shards: Vec<_> = self.index.shards()?.into_iter().collect();
        shards.sort();
        ScanReader::new(Arc::clone(&self.storage), shards, scan)
    }
}
