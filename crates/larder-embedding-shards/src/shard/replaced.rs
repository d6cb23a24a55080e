//! What a shard that compaction made says of those it was made from.

use larder_storage::{Digest, Result};
use serde::{Deserialize, Serialize};

use super::{Shard, corrupt};

/// The entry of the file's metadata that lists what it replaces, as JSON.
pub(crate) const REPLACES_KEY: &str = "larder.replaces";

/// A shard that another one replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replaced {
    pub(crate) path: String,
    /// The length of the file.
    bytes: u64,
    /// Of the file, where its rows have no checksums of their own by which to tell them from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
}

impl Replaced {
    /// A shard as another one is to name it.
    pub(crate) fn of(shard: &Shard) -> Result<Self> {
        let blake3 = if shard.is_ours() { None } else { Some(digest(shard)?) };
        Ok(Self { path: shard.path().to_string(), bytes: shard.len(), blake3 })
    }

    /// Whether this is the shard that is meant, as far as the checksums of its rows do not tell.
    pub(crate) fn is(&self, shard: &Shard) -> Result<bool> {
        if self.path != shard.path().as_str() {
            return Ok(false);
        }
        match &self.blake3 {
            None => Ok(shard.is_ours()),
            Some(blake3) => Ok(self.bytes == shard.len() && *blake3 == digest(shard)?),
        }
    }
}

fn digest(shard: &Shard) -> Result<String> {
    let len = usize::try_from(shard.len());
    let len = len.map_err(|_| corrupt(shard.path(), "is longer than memory can be"))?;
    let mut bytes = vec![0; len];
    shard.reader.read_at(0, &mut bytes)?;
    Ok(Digest::of(&bytes).to_string())
}

impl Shard {
    /// The shards that this one replaces; none, unless compaction made it.
    pub(crate) fn replaces(&self) -> Result<Vec<Replaced>> {
        let pairs = self.metadata.metadata().file_metadata().key_value_metadata();
        let mut pairs = pairs.into_iter().flatten();
        let Some(pair) = pairs.find(|pair| pair.key == REPLACES_KEY) else { return Ok(Vec::new()) };
        let list = pair.value.as_deref().unwrap_or_default();
        serde_json::from_str(list).map_err(|error| {
            corrupt(self.path(), "has no legible list of what it replaces").with_source(error)
        })
    }
}
