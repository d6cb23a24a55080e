//! Sliding windows, embedded as tetranucleotide frequencies and kept by content.

use std::collections::HashSet;

use larder::{
    Larder,
    embedding_shards::{
        Dtype, Embedding, PoolType, ShardId, WindowKey, WindowRecord, shard_path_for, text_hash,
        window_hash,
    },
    storage::{Error, ErrorKind, Result},
};

use super::pass::{self, Tally};
use crate::genome::{Genome, Record, tetra};

/// The width of a window, in bases.
const WIDTH: usize = 1000;
/// From the start of one window to the start of the next, in bases.
const STRIDE: usize = 100;
/// How many windows one shard is for.
const BLOCK: usize = 4096;
/// What stands for the weights of this encoder: another definition needs another text.
const ENCODER: &str = "larder/canonical-tetranucleotides-1";

/// Embeds the windows of all records that are not there yet, and reads all of them.
///
/// # Errors
/// Those of the store; `Conflict` where somebody removed an embedding meanwhile.
pub(super) fn embed(larder: &Larder, genome: &Genome) -> Result<((), Tally)> {
    let mut tally = Tally::default();
    let mut seen = HashSet::new();
    for record in &genome.records {
        let windows: Vec<_> = tetra::windows(record.sequence.len(), WIDTH, STRIDE).collect();
        for (block, windows) in windows.chunks(BLOCK).enumerate() {
            let keyed = windows
                .iter()
                .map(|window| (window.clone(), key(&record.sequence[window.clone()])));
            // A repeat in the sequence is one content, and one row.
            let keyed: Vec<_> = keyed.filter(|(_, key)| seen.insert(*key)).collect();
            tally.add(embed_block(larder, record, block as u64, &keyed)?);
        }
    }
    Ok(((), tally))
}

type Keyed = (std::ops::Range<usize>, WindowKey);

fn embed_block(larder: &Larder, record: &Record, block: u64, keyed: &[Keyed]) -> Result<Tally> {
    let shards = larder.shards();
    let keys: Vec<WindowKey> = keyed.iter().map(|(_, key)| *key).collect();
    let there = shards.contains_many(&keys)?;
    let contig = pass::source(record);
    let missing = keyed.iter().zip(&there).filter(|(_, there)| !**there).map(|(keyed, _)| keyed);
    let rows = missing
        .map(|(window, key)| row(&contig, record, window, *key))
        .collect::<Result<Vec<_>>>()?;
    if !rows.is_empty() {
        write(larder, &contig, block, &rows)?;
    }
    let read = shards.read_many(&keys)?;
    if read.iter().any(Option::is_none) {
        return Err(Error::new(
            ErrorKind::Conflict,
            "an embedding that was just there is gone: run the tour again",
        ));
    }
    let bytes = read.len() * tetra::DIMENSIONS * size_of::<f32>();
    Ok(Tally {
        hits: (keys.len() - rows.len()) as u64,
        misses: rows.len() as u64,
        bytes: bytes as u64,
    })
}

/// Writes the rows as a shard of their own. The block's shard may be there with other rows, where windows that it
/// shared with another genome are lost with that one's shard: then the rows go to a free block beyond.
fn write(larder: &Larder, contig: &str, block: u64, rows: &[WindowRecord]) -> Result<()> {
    const BEYOND: u64 = 1 << 32;
    for place in [block, block + BEYOND] {
        match larder.shards().write_shard(ENCODER, contig, place, rows) {
            Err(error) if error.kind() == ErrorKind::Conflict && place == block => {}
            written => return written.map(drop),
        }
    }
    Ok(())
}

/// Whether the shards of this contig have names that files can have.
///
/// # Errors
/// `Invalid` where they are too long.
pub(super) fn check_name(contig: &str) -> Result<()> {
    shard_path_for(&ShardId::of(ENCODER, contig, u64::MAX, &key(&[]))).map(drop)
}

fn row(
    contig: &str,
    record: &Record,
    window: &std::ops::Range<usize>,
    key: WindowKey,
) -> Result<WindowRecord> {
    let frequencies = tetra::frequencies(&record.sequence[window.clone()]);
    let embedding = Embedding::Fp32(frequencies.to_vec());
    WindowRecord::new(contig, window.start as i64, window.end as i64, key, embedding)
}

fn key(window: &[u8]) -> WindowKey {
    WindowKey {
        window_hash: window_hash(window),
        encoder_hash: text_hash(ENCODER),
        state_layer: 0,
        pool_type: PoolType::GlobalMean,
        pool_radius: 0,
        dtype: Dtype::Fp32,
    }
}
