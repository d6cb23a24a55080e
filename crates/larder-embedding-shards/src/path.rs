use larder_storage::{Digest, Error, ErrorKind, Key, Result};

use crate::{Dtype, Group, INDEX_DB_NAME, PoolType, WindowKey, key::hex, record::invalid};

/// The directory of all shards.
pub(crate) const SHARDS: &str = "embeddings";
const QUARANTINE: &str = ".quarantine";
/// How the names of files begin, by what their rows are of.
const CONTIG: &str = "chr";
const COLLECTION: &str = "set";

/// What the rows of one shard have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShardId {
    /// The encoder's name, such as `org/model-1b`; any text but the empty one.
    pub encoder_id: String,
    /// The hash of its weights.
    pub encoder_hash: [u8; 32],
    /// The layer whose states were pooled.
    pub state_layer: i8,
    /// How they were pooled.
    pub pool_type: PoolType,
    /// How far the pool reaches to each side, in positions.
    pub pool_radius: u32,
    /// The type of the numbers.
    pub dtype: Dtype,
    /// Its contig or collection; any name but the empty one.
    pub group: Group,
    /// The number of the block of windows of that contig or collection.
    pub stride_block: u64,
}

impl ShardId {
    /// The shard in which a row with `key` belongs.
    pub fn of(
        encoder_id: impl Into<String>,
        group: impl Into<Group>,
        stride_block: u64,
        key: &WindowKey,
    ) -> Self {
        Self {
            encoder_id: encoder_id.into(),
            encoder_hash: key.encoder_hash,
            state_layer: key.state_layer,
            pool_type: key.pool_type,
            pool_radius: key.pool_radius,
            dtype: key.dtype,
            group: group.into(),
            stride_block,
        }
    }

    fn check(&self) -> Result<()> {
        if self.encoder_id.is_empty() || self.group.name().is_empty() {
            return Err(invalid(
                "a shard needs an encoder id and a contig or collection that are not empty",
            ));
        }
        let id = self.encoder_id.to_ascii_lowercase();
        // SQLite has files of its own beside the index.
        if id == QUARANTINE || id.starts_with(INDEX_DB_NAME) {
            return Err(invalid(format!(
                "the encoder id {:?} is reserved: choose another one",
                self.encoder_id
            )));
        }
        Ok(())
    }
}

/// Where a shard lies:
/// `embeddings/<encoder_id>/<encoder_hash>/<state_layer>/<pool_type>_<pool_radius>/<dtype>/chr<contig>_<stride_block>.parquet`.
///
/// The encoder's name and the contig are written as [`Key::encode`] does it and the hash as 64 hexadecimal digits, so
/// different shards never meet. For a collection it is `set<collection>_<stride_block>.parquet`.
///
/// # Errors
///
/// `Invalid` where the encoder's name or the contig's or collection's is empty or too long for a file name, or where the former is
/// `.quarantine` or begins with `index.sqlite`.
pub fn shard_path_for(id: &ShardId) -> Result<Key> {
    id.check()?;
    let ShardId { state_layer, pool_type, pool_radius, dtype, stride_block, .. } = id;
    let (encoder, name) = (Key::encode(&id.encoder_id)?, Key::encode(id.group.name())?);
    let prefix = match id.group {
        Group::Contig(_) => CONTIG,
        Group::Collection(_) => COLLECTION,
    };
    let hash = hex(&id.encoder_hash);
    Key::new(format!(
        "{SHARDS}/{encoder}/{hash}/{state_layer}/{pool_type}_{pool_radius}/{dtype}/{prefix}{name}_{stride_block}.parquet"
    ))
}

/// Where the Python package geno-lewm 0.2.1 puts a shard:
/// `embeddings/<encoder_id>/<state_layer>/<pool_type>_<pool_radius>/chr<contig>_<stride_block>.parquet`, with `__` for
/// each `/` and `\` in the names. Shards that differ only in dtype or weights meet there.
///
/// # Errors
///
/// `Invalid` as [`shard_path_for`], where a name holds what a [`Key`] may not hold, and for collections, which the
/// package does not have.
pub fn legacy_shard_path_for(id: &ShardId) -> Result<Key> {
    id.check()?;
    let ShardId { state_layer, pool_type, pool_radius, stride_block, .. } = id;
    let Group::Contig(contig) = &id.group else {
        return Err(invalid("the Python package has no collections: name a contig"));
    };
    let (encoder, contig) =
        (id.encoder_id.replace(['/', '\\'], "__"), contig.replace(['/', '\\'], "__"));
    Key::new(format!(
        "{SHARDS}/{encoder}/{state_layer}/{pool_type}_{pool_radius}/{CONTIG}{contig}_{stride_block}.parquet"
    ))
}

/// What the shard at a path is, where [`shard_path_for`] gives it that path.
pub(crate) fn shard_at(path: &Key) -> Option<ShardId> {
    let segments: Vec<&str> = path.segments().collect();
    let [SHARDS, encoder, hash, layer, pool, dtype, file] = segments[..] else { return None };
    let (pool_type, pool_radius) = pool.rsplit_once('_')?;
    let (group, stride_block) = group_and_block(file)?;
    let id = ShardId {
        encoder_id: Key::decode(encoder)?,
        encoder_hash: *hash.parse::<Digest>().ok()?.as_bytes(),
        state_layer: layer.parse().ok()?,
        pool_type: pool_type.parse().ok()?,
        pool_radius: pool_radius.parse().ok()?,
        dtype: dtype.parse().ok()?,
        group,
        stride_block,
    };
    // A number has other spellings, too.
    (shard_path_for(&id).ok()? == *path).then_some(id)
}

/// The encoder of a shard of the Python package, as its path spells it, and the number of its block.
pub(crate) fn legacy_shard_at(path: &Key) -> Option<(&str, u64)> {
    let segments: Vec<&str> = path.segments().collect();
    let [SHARDS, encoder, _layer, _pool, file] = segments[..] else { return None };
    Some((encoder, name_and_block(file, CONTIG)?.1))
}

fn group_and_block(file: &str) -> Option<(Group, u64)> {
    let of = |prefix, group: fn(String) -> Group| {
        let (name, block) = name_and_block(file, prefix)?;
        Some((group(Key::decode(name)?), block))
    };
    of(CONTIG, Group::Contig).or_else(|| of(COLLECTION, Group::Collection))
}

fn name_and_block<'a>(file: &'a str, prefix: &str) -> Option<(&'a str, u64)> {
    let (name, block) = file.strip_prefix(prefix)?.strip_suffix(".parquet")?.rsplit_once('_')?;
    Some((name, block.parse().ok()?))
}

/// Whether an object below [`SHARDS`] is a shard: quarantined ones are not.
pub(crate) fn is_shard(key: &Key) -> bool {
    let mut segments = key.segments();
    segments.next() == Some(SHARDS)
        && segments.next() != Some(QUARANTINE)
        && key.name().ends_with(".parquet")
}

/// Where a damaged shard is put.
pub(crate) fn quarantine_path(shard: &Key) -> Result<Key> {
    let below = shard.as_str().strip_prefix(SHARDS).and_then(|rest| rest.strip_prefix('/'));
    let below = below.ok_or_else(|| Error::new(ErrorKind::Invalid, "is no shard").at_key(shard))?;
    Key::new(format!("{SHARDS}/{QUARANTINE}/{below}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    fn id(encoder: &str, contig: &str) -> ShardId {
        ShardId::of(encoder, contig, 7, &key(1))
    }

    fn collection(name: &str) -> ShardId {
        ShardId { group: Group::Collection(name.to_owned()), ..id("org/model", "X") }
    }

    #[test]
    fn names_everything_that_tells_shards_apart() {
        let id = id("org/model", "X");
        let hash = "05".repeat(32);
        let path = format!("embeddings/org%2Fmodel/{hash}/3/centered_mean_128/fp32/chrX_7.parquet");
        assert_eq!(shard_path_for(&id).unwrap().as_str(), path);
        let legacy = "embeddings/org__model/3/centered_mean_128/chrX_7.parquet";
        assert_eq!(legacy_shard_path_for(&id).unwrap().as_str(), legacy);
        let path = shard_path_for(&collection("X/Y")).unwrap();
        assert!(path.as_str().ends_with("/fp32/setX%2FY_7.parquet"), "{path}");
        let legacy = legacy_shard_path_for(&collection("X"));
        assert_eq!(legacy.unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_path_tells_what_lies_there() {
        for (encoder, contig) in [("org/model", "X"), ("a_b", "1_7"), ("..", "a/b"), ("é", "é")] {
            let id = id(encoder, contig);
            let path = shard_path_for(&id).unwrap();
            assert_eq!((shard_at(&path), legacy_shard_at(&path)), (Some(id.clone()), None));
            let legacy =
                legacy_shard_path_for(&ShardId { encoder_id: "a/b".into(), ..id }).unwrap();
            let (encoder, block) = legacy_shard_at(&legacy).unwrap();
            assert_eq!((encoder, block, shard_at(&legacy)), ("a__b", 7, None));
        }
        for name in ["X", "1_7", "chr1", "a/b", "é"] {
            let path = shard_path_for(&collection(name)).unwrap();
            assert_eq!(shard_at(&path), Some(collection(name)));
        }
        let other = shard_path_for(&id("a", "1")).unwrap().as_str().replace("_7.", "_07.");
        assert_eq!(shard_at(&Key::new(other).unwrap()), None);
    }

    #[test]
    fn names_that_look_alike_do_not_meet() {
        let path = |encoder, contig| shard_path_for(&id(encoder, contig)).unwrap();
        assert_ne!(path("a/b", "1"), path("a__b", "1"));
        assert_ne!(path("a", "1/2"), path("a", "1__2"));
        let (a, mut b) = (id("a", "1_7"), id("a", "1"));
        b.stride_block = 77;
        assert_ne!(shard_path_for(&a).unwrap(), shard_path_for(&b).unwrap());
        assert_ne!(path("org/model", "1"), shard_path_for(&collection("1")).unwrap());
    }

    #[test]
    fn refuses_names_that_lead_elsewhere() {
        for (encoder, contig) in
            [("", "1"), ("a", ""), (".quarantine", "1"), ("Index.sqlite-wal", "1")]
        {
            assert_eq!(
                shard_path_for(&id(encoder, contig)).unwrap_err().kind(),
                ErrorKind::Invalid
            );
            assert_eq!(
                legacy_shard_path_for(&id(encoder, contig)).unwrap_err().kind(),
                ErrorKind::Invalid
            );
        }
        assert_eq!(shard_path_for(&collection("")).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(
            shard_path_for(&id(&"é".repeat(200), "1")).unwrap_err().kind(),
            ErrorKind::Invalid
        );
        assert!(
            shard_path_for(&id("..", "../../x")).unwrap().as_str().starts_with("embeddings/.%2E/")
        );
    }

    #[test]
    fn a_quarantined_shard_is_no_shard() {
        let path = shard_path_for(&id("a", "1")).unwrap();
        let aside = quarantine_path(&path).unwrap();
        assert!(is_shard(&path) && !is_shard(&aside));
        assert!(aside.as_str().starts_with("embeddings/.quarantine/a/"));
    }
}
