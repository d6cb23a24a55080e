use larder_storage::{Key, Problem, Result};

use super::{EmbeddingCache, compact::is_its_own_fault, sync::problem};
use crate::{
    RemoveReport,
    path::{is_shard, legacy_shard_at, shard_at},
    record::invalid,
};

/// Which shards to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Those of the weights with this hash.
    EncoderHash([u8; 32]),
    /// Those of the encoder with this name; of the Python package, those whose path spells it like this, where `/` and
    /// `\` are `__`.
    EncoderId(String),
    /// Those whose rows were all made before this time, in nanoseconds since 1970 in UTC.
    CreatedBefore(i64),
    /// The one with this key, whatever is in it.
    Shard(Key),
}

/// How many of a shard's rows are to go.
enum Share {
    None,
    Some { rows: usize, of: usize },
    All,
}

impl EmbeddingCache {
    /// Removes whole shards. Those of whose rows only some match stay, and so do those that cannot be read to tell: the
    /// report says which. Keys that another shard holds as well are found in that one from then on.
    ///
    /// The index forgets them in one transaction before they are removed: a process that is killed in between leaves
    /// them whole, and the next [`open`](Self::open) or [`refresh`](Self::refresh) takes them on again.
    ///
    /// # Errors
    ///
    /// `Invalid` where the key given is not that of a shard; `Io`, `Full` or `Backend` where the storage or the index
    /// fails.
    pub fn remove(&self, removal: &Removal) -> Result<RemoveReport> {
        if let Removal::Shard(path) = removal
            && !is_shard(path)
        {
            return Err(invalid("is no key of a shard: `shards` lists them").at_key(path));
        }
        let _alone = self.write_alone()?;
        // What a killed compaction left would bring removed rows back.
        self.synchronise_alone()?;
        let (mut report, mut matching) = (RemoveReport::default(), Vec::new());
        for path in self.list()? {
            match self.share(&path, removal) {
                Err(error) if is_its_own_fault(&error) => report.kept.push(problem(&path, &error)),
                share => match share? {
                    Share::None => {}
                    Share::All => matching.push(path),
                    Share::Some { rows, of } => {
                        let what = format!(
                            "{rows} of its {of} rows match: it is removed whole or not at all"
                        );
                        report.kept.push(Problem::new(&path, what));
                    }
                },
            }
        }
        if !matching.is_empty() {
            report.kept.extend(self.forget(&matching)?);
        }
        for path in matching {
            self.storage.remove(&path)?;
            report.removed.push(path.to_string());
        }
        self.handles.clear();
        Ok(report)
    }

    fn share(&self, path: &Key, removal: &Removal) -> Result<Share> {
        let id = shard_at(path);
        match removal {
            Removal::Shard(named) => Ok(all_if(named == path)),
            Removal::EncoderId(name) => Ok(all_if(match &id {
                Some(id) => id.encoder_id == *name,
                None => legacy_shard_at(path).is_some_and(|(encoder, _)| encoder == name),
            })),
            // Larder's paths tell it.
            Removal::EncoderHash(hash) if id.is_some_and(|id| id.encoder_hash != *hash) => {
                Ok(Share::None)
            }
            Removal::EncoderHash(hash) => {
                let rows = self.open_shard(path)?.entries()?;
                Ok(share(&rows, |row| row.key.encoder_hash == *hash))
            }
            Removal::CreatedBefore(time) => {
                Ok(share(&self.open_shard(path)?.created()?, |created| created < time))
            }
        }
    }
}

fn all_if(condition: bool) -> Share {
    if condition { Share::All } else { Share::None }
}

fn share<T>(rows: &[T], matches: impl Fn(&T) -> bool) -> Share {
    match rows.iter().filter(|row| matches(row)).count() {
        0 => Share::None,
        all if all == rows.len() => Share::All,
        some => Share::Some { rows: some, of: rows.len() },
    }
}
