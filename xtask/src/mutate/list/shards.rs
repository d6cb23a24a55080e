//! What is taken out of the embedding shards: their checksums, their locks, and what is looked at before others go.

use super::{
    super::{Mutant, Suite::Shards},
    mutant,
};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant(
        Shards,
        "shards: checksum of a row and its key",
        "larder-embedding-shards/src/shard.rs",
        "if crc32c_append(key.crc32c(), bytes) == crc {",
        "if crc32c_append(key.crc32c(), bytes) == crc || true {",
    ),
    mutant(
        Shards,
        "shards: checksum of where a row is from",
        "larder-embedding-shards/src/shard/scan.rs",
        "rows.check_sources(&records)?;",
        "",
    ),
    mutant(
        Shards,
        "shards: checksum of the file",
        "larder-embedding-shards/src/shard/checksum.rs",
        "if same { Ok(()) }",
        "if same || true { Ok(()) }",
    ),
    mutant(
        Shards,
        "shards: embeddings of a shard that is there already",
        "larder-embedding-shards/src/cache/write.rs",
        ".all(|(record, there)| there.as_ref() == Some(&record.embedding))",
        ".all(|(record, there)| there.as_ref() == Some(&record.embedding) || true)",
    ),
    mutant(
        Shards,
        "shards: keys that another writer indexed meanwhile",
        "larder-embedding-shards/src/cache/write.rs",
        "if self.index.newest_shard()? != newest {",
        "if self.index.newest_shard()? != newest && false {",
    ),
    mutant(
        Shards,
        "shards: flush of a shard that somebody else published",
        "larder-embedding-shards/src/cache/write.rs",
        "if !self.durability.syncs() {",
        "if true {",
    ),
    mutant(
        Shards,
        "shards: lock of the writers",
        "larder-embedding-shards/src/cache.rs",
        "FileLock::exclusive(",
        "FileLock::shared(",
    ),
    mutant(
        Shards,
        "shards: lease of who embeds",
        "larder-embedding-shards/src/cache/embed.rs",
        "let _embedding = self.flights.enter(shard_path_for(&id)?.as_str())?;",
        "",
    ),
    mutant(
        Shards,
        "shards: absence of what a merged shard is written over",
        "larder-embedding-shards/src/cache/compact.rs",
        "self.storage.put(&path, bytes.clone(), PutIf::Absent)",
        "self.storage.put(&path, bytes.clone(), PutIf::Always)",
    ),
    mutant(
        Shards,
        "shards: last look at a merged shard before the others go",
        "larder-embedding-shards/src/cache/replace.rs",
        "self.open_whole(path)?.verify()?;",
        "",
    ),
    mutant(
        Shards,
        "shards: checksums of rows that a merged shard takes over",
        "larder-embedding-shards/src/index/take_over.rs",
        "old.is_none_or(|old| row.crc == Some(old))",
        "old.is_none_or(|old| row.crc == Some(old) || true)",
    ),
    mutant(
        Shards,
        "shards: digest of a shard that a merged one names",
        "larder-embedding-shards/src/shard/replaced.rs",
        "self.bytes == shard.len() && *blake3 == digest(shard)?",
        "self.bytes == shard.len() && (*blake3 == digest(shard)? || true)",
    ),
    mutant(
        Shards,
        "shards: numbers that another shard has for a key",
        "larder-embedding-shards/src/cache/compact.rs",
        "!same_numbers(there, &record.embedding)",
        "!same_numbers(there, &record.embedding) && false",
    ),
    mutant(
        Shards,
        "shards: forgetting of a shard before it is removed",
        "larder-embedding-shards/src/cache/remove.rs",
        "report.kept.extend(self.forget(&matching)?);",
        "",
    ),
];
