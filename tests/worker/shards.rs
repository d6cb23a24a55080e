//! Work on embedding shards that many processes share, or that is killed.

use std::{
    io::{self, Write},
    path::Path,
};

use larder::embedding_shards::{CompactOptions, EmbeddingCache, Removal};
use larder_storage::{Durability, ErrorKind, LocalStorage, PutIf, Result, Storage};

use super::{
    array::{Outcome, say},
    shards_changes::{
        Change, batch, broken, change, key, number_of, open, path_of, windows, write,
    },
};

/// Does `what` with the cache at `place`; `number` is what each work says.
pub(crate) fn work(what: &str, place: &Path, number: u32) -> Outcome {
    match what {
        "churn" => churn(place, Durability::Process, number),
        "churn-at-power" => churn(place, Durability::Power, number),
        "write" => write_batches(&open(place, Durability::Process)?, number),
        "watch" => watch(&open(place, Durability::Process)?),
        _ => Err(format!("unknown work: {what}").into()),
    }
}

/// Makes one change after the other, from the number `first` on, until it is killed; each that is acknowledged is told
/// by an empty line.
fn churn(place: &Path, durability: Durability, first: u32) -> Outcome {
    let (cache, storage) = (open(place, durability)?, LocalStorage::open(place, durability)?);
    for number in first.. {
        carry_out(&cache, &storage, number)?;
        io::stdout().write_all(b"\n")?;
    }
    Ok(())
}

fn carry_out(cache: &EmbeddingCache, storage: &LocalStorage, number: u32) -> Result<()> {
    match change(number) {
        Change::Write(block, of) => _ = write(cache, block, windows(block, of), of)?,
        Change::Break(block) => {
            storage.put(&path_of(block), broken(number).into(), PutIf::Always)?;
        }
        Change::Repair => assert_eq!(cache.repair()?.quarantined.len(), 1),
        Change::Remove(block) => {
            assert!(storage.remove(&path_of(block))?);
            assert_eq!(cache.reindex()?.problems, []);
        }
        Change::Reindex => assert_eq!(cache.reindex()?.problems, []),
        Change::Compact => assert_eq!(cache.compact(CompactOptions::default())?.problems, []),
        Change::Clear => {
            let weights = Removal::EncoderHash(key(0).encoder_hash);
            assert_eq!(cache.remove(&weights)?.kept, []);
        }
        Change::Refresh => assert_eq!(cache.refresh()?, []),
    }
    Ok(())
}

/// Writes its batch of each round that it reads the number of, and says whether it was written or refused.
fn write_batches(cache: &EmbeddingCache, process: u32) -> Outcome {
    for round in io::stdin().lines() {
        let (block, windows, number) = batch(round?.parse()?, process);
        match write(cache, block, windows, number) {
            Ok(_) => say("written")?,
            Err(error) if error.kind() == ErrorKind::Conflict => say("conflict")?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads each block that it is told of, which has to be there, one that it was told of before, and the next one, which
/// may be there; says of how many it saw the next one missing.
fn watch(cache: &EmbeddingCache) -> Outcome {
    let mut ahead = 0;
    for block in io::stdin().lines() {
        let block: u32 = block?.parse()?;
        ahead += u32::from(!is_there(cache, block + 1)?);
        for block in [block, block * 7 % (block + 1)] {
            assert!(is_there(cache, block)?, "block {block} was acknowledged");
        }
    }
    Ok(say(ahead)?)
}

/// Whether a block is there, all of it, as it was written by the change of the block's number.
fn is_there(cache: &EmbeddingCache, block: u32) -> Result<bool> {
    let windows: Vec<u32> = windows(block, block).collect();
    let keys: Vec<_> = windows.iter().map(|window| key(*window)).collect();
    let found = cache.read_many(&keys)?;
    let rows = windows.iter().zip(&found).filter_map(|(at, row)| Some((at, row.as_ref()?)));
    let seen = rows.inspect(|(window, row)| assert_eq!(number_of(**window, row), block)).count();
    assert!(seen == 0 || seen == windows.len(), "{seen} of {} rows", windows.len());
    Ok(seen > 0)
}
