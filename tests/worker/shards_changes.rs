//! Embeddings that tell which change wrote them and where they belong, and an endless row of such changes, each of which
//! follows from its number alone.

use std::{ops::Range, path::Path};

use larder::embedding_shards::{
    Dtype, Embedding, EmbeddingCache, Options, PoolType, ShardId, WindowKey, WindowRecord,
    shard_path_for,
};
use larder_storage::{Durability, Key, Result};

/// How many numbers an embedding has.
const DIM: u16 = 16;
const ENCODER: &str = "org/model";
const CONTIG: &str = "21";
/// How many windows lie between those of one block and those of the next.
const BLOCK: u32 = 1000;

/// Holds fewer shards open than there are.
pub(crate) fn open(place: impl AsRef<Path>, durability: Durability) -> Result<EmbeddingCache> {
    EmbeddingCache::open(place, Options::default().durability(durability).open_shards(4))
}

pub(crate) fn key(window: u32) -> WindowKey {
    let mut window_hash = [0xab; 32];
    // Scattered, as hashes are; an odd factor leaves them different.
    window_hash[..4].copy_from_slice(&window.wrapping_mul(0x9e37_79b9).to_be_bytes());
    WindowKey {
        window_hash,
        encoder_hash: [5; 32],
        state_layer: 3,
        pool_type: PoolType::CenteredMean,
        pool_radius: 128,
        dtype: Dtype::Fp32,
    }
}

/// The embedding of a window that the change of this number writes.
pub(crate) fn embedding(window: u32, number: u32) -> Embedding {
    let place = (2..DIM).map(f32::from);
    Embedding::Fp32([number as f32, window as f32].into_iter().chain(place).collect())
}

/// The number of the change that wrote the embedding of this window.
///
/// # Panics
///
/// Where it is of another window or not of one change.
pub(crate) fn number_of(window: u32, found: &Embedding) -> u32 {
    let number = found.to_f32()[0] as u32;
    assert_eq!(*found, embedding(window, number), "a wrong embedding of window {window}");
    number
}

/// Where the shard of a block lies that was not merged.
pub(crate) fn path_of(block: u32) -> Key {
    shard_path_for(&ShardId::of(ENCODER, CONTIG, block.into(), &key(0))).expect("short names")
}

/// Writes the windows of a block as the change of this number does.
pub(crate) fn write(
    cache: &EmbeddingCache,
    block: u32,
    windows: Range<u32>,
    number: u32,
) -> Result<Key> {
    let record = |window| {
        let start = i64::from(window) * 100;
        WindowRecord::new(CONTIG, start, start + 512, key(window), embedding(window, number))
    };
    let records = windows.map(record).collect::<Result<Vec<_>>>()?;
    cache.write_shard(ENCODER, CONTIG, block.into(), &records)
}

/// The windows that the change of this number writes to a block.
pub(crate) fn windows(block: u32, number: u32) -> Range<u32> {
    let first = block * BLOCK;
    first..first + 1 + number * 7 % 60
}

/// What one change does.
#[derive(Debug)]
pub(crate) enum Change {
    /// Writes the shard of a block, as the change of that number does.
    Write(u32, u32),
    /// Puts something else in the place of a block's shard.
    Break(u32),
    /// Moves what is broken aside.
    Repair,
    /// Takes the shard of a block away, as somebody may who knows nothing of the index, and reindexes.
    Remove(u32),
    Reindex,
    /// Merges all that is there into one shard.
    Compact,
    /// Removes all shards of the weights that all of them are of.
    Clear,
    Refresh,
}

/// The change of this number. Fourteen make a round, at whose end nothing is left of the blocks 0 and 1 but what was
/// moved aside, and all the rest is merged into one shard: of the blocks 2 to 4 one is written in each round, always the
/// same, and of the blocks 5 to 8 one is written anew, until all of it is removed after four rounds.
pub(crate) fn change(number: u32) -> Change {
    const ROUND: u32 = 14;
    let round = number / ROUND;
    match number % ROUND {
        0 | 6 => Change::Write(0, number),
        1 => Change::Write(1, number),
        2 => Change::Write(1, number - 1),
        3 => Change::Reindex,
        4 => Change::Break(0),
        7 => Change::Remove(0),
        8 => Change::Break(1),
        5 | 9 => Change::Repair,
        10 => Change::Write(2 + round % 3, round % 3 * ROUND + 10),
        11 => Change::Write(5 + round % 4, number),
        12 => Change::Compact,
        _ if round % 4 == 3 => Change::Clear,
        _ => Change::Refresh,
    }
}

/// What the change of this number puts in the place of a shard.
pub(crate) fn broken(number: u32) -> String {
    format!("broken by change {number}")
}

/// The block, the windows and the number of the embeddings that one of eight processes writes in a round: the same as
/// others, a part of it, other embeddings, and windows of which others write some to another block.
pub(crate) fn batch(round: u32, process: u32) -> (u32, Range<u32>, u32) {
    let (block, first) = (3 * round, 100 * round);
    match process {
        0..3 => (block, first..first + 10, 0),
        3 => (block, first + 2..first + 6, 0),
        4 => (block, first..first + 10, process),
        5 | 6 => (block + 1, first + 5..first + 15, 0),
        _ => (block + 2, first + 12..first + 20, process),
    }
}
