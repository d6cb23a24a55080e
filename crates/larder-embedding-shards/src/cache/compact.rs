use std::collections::{BTreeMap, HashMap, HashSet};

use arrow_schema::Fields;
use larder_storage::{Error, ErrorKind, Key, Problem, PutIf, Result};

use super::{EmbeddingCache, sync::problem};
use crate::{
    CompactReport, Embedding, ShardId, ShardInfo, WindowKey,
    path::{legacy_shard_at, shard_at, shard_path_for},
    progress::Steps,
    record::invalid,
    shard::{Contents, Layout, REPLACES_KEY, Replaced, Shard, encode_with},
};

/// The blocks from here on are left to compaction, so that the next block of a contig is free for who writes it.
pub(super) const FIRST_BLOCK: u64 = 1_000_000_000_000;
/// The most shards that one replaces, because it lists them all.
const MAX_REPLACED: usize = 1000;
/// The most rows of a shard that compaction makes, so that short embeddings do not need more memory than long ones.
const MAX_ROWS: u64 = 1 << 20;

/// How shards are compacted.
#[derive(Clone, Debug)]
pub struct CompactOptions {
    target_bytes: u64,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self { target_bytes: 64 << 20 }
    }
}

impl CompactOptions {
    /// How many bytes of embeddings a shard may get; 64 MiB unless set, which is what a
    /// [`ShardWriter`](crate::ShardWriter) gives it. Shards that have as many already are left as they are. A few times
    /// as much memory is needed.
    #[must_use]
    pub fn target_bytes(mut self, bytes: u64) -> Self {
        self.target_bytes = bytes;
        self
    }
}

impl EmbeddingCache {
    /// Merges small shards that have everything but the block in common, in the order of their blocks, and rewrites
    /// those of the Python package so that each row can be read by its offset. Keys and numbers stay what they are;
    /// what the Python package keeps as `float16` for a key of another dtype is widened to that one.
    ///
    /// A merged shard gets a block number from 1,000,000,000,000 on, the one after the last. It is published and read
    /// back before the index is switched over to it in one transaction, and then the old shards are removed; a process
    /// that is killed anywhere in between leaves what the next [`open`](Self::open), [`refresh`](Self::refresh) or
    /// `compact` completes. Writers wait while a merged shard is published. It is as durable as this cache makes it: use
    /// the [`Durability`](larder_storage::Durability) with which the rows were written.
    ///
    /// Machines that share a storage let one of them compact; the others [`refresh`](Self::refresh).
    ///
    /// # Errors
    ///
    /// `Full`, `Io` or `Backend` where the storage or the index fails; `Corrupt` where a merged shard is not read back
    /// as it was written, which leaves the old ones. Shards that are damaged or cannot be rewritten exactly are no
    /// error: they stay, and the report says why.
    pub fn compact(&self, options: CompactOptions) -> Result<CompactReport> {
        let report = CompactReport { problems: self.refresh()?, ..CompactReport::default() };
        let CompactOptions { target_bytes } = options;
        self.observer.watch(|steps| {
            let left = HashSet::new();
            let mut compaction = Compaction { cache: self, steps, target_bytes, report, left };
            compaction.rewrite_all()?;
            while compaction.merge_once()? {}
            self.handles.clear();
            Ok(compaction.report)
        })
    }

    /// Publishes and indexes these rows in the block of `id` or, where that is taken, in the next one that is left to
    /// compaction. The caller writes alone.
    pub(super) fn publish_in(
        &self,
        mut id: ShardId,
        contents: &Contents,
        replaces: &[Replaced],
    ) -> Result<Key> {
        let bytes = encode(&id, contents, replaces)?;
        let path = loop {
            let path = shard_path_for(&id)?;
            match self.storage.put(&path, bytes.clone(), PutIf::Absent) {
                // Also where another machine was quicker, or what lies there cannot be read.
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let next = id.stride_block.checked_add(1).ok_or(error)?;
                    id.stride_block = self.free_block(&id)?.max(next);
                }
                put => break put.map(|()| path)?,
            }
        };
        match self.adopt(&path) {
            Err(error) if error.kind() == ErrorKind::Corrupt && !self.index.has_shard(&path)? => {
                self.storage.remove(&path)?;
                Err(error)
            }
            adopted => adopted.map(|_| path),
        }
    }

    /// The first block that is left to compaction and comes after all that are there.
    fn free_block(&self, id: &ShardId) -> Result<u64> {
        self.next_block(id, FIRST_BLOCK..u64::MAX)
    }

    /// Leaves out the rows that other shards than `own` hold with the same numbers.
    ///
    /// # Errors
    ///
    /// `Conflict` where another one holds other numbers for a key.
    pub(super) fn without_known(&self, contents: &mut Contents, own: Option<&Key>) -> Result<()> {
        let keys: Vec<WindowKey> = contents.records.iter().map(|record| record.key).collect();
        let mut found = self.index.find(&keys)?;
        for row in &mut found {
            row.take_if(|row| Some(&row.shard.path) == own);
        }
        let there = self.fetch_found(&keys, &found)?;
        for (record, there) in contents.records.iter().zip(&there) {
            if there.as_ref().is_some_and(|there| !same_numbers(there, &record.embedding)) {
                let message = "another shard holds other numbers for a key of it: remove either";
                return Err(Error::new(ErrorKind::Conflict, message));
            }
        }
        contents.retain(&there.iter().map(Option::is_none).collect::<Vec<_>>())
    }
}

/// The one place where shards are encoded that were not written row by row.
fn encode(
    id: &ShardId,
    contents: &Contents,
    replaces: &[Replaced],
) -> Result<larder_storage::Bytes> {
    let dim = contents.records.first().map_or(0, |record| record.embedding.len());
    let list = serde_json::to_string(replaces).map_err(|error| {
        Error::new(ErrorKind::Backend, "cannot list the replaced shards").with_source(error)
    })?;
    let entries = [(REPLACES_KEY, list)];
    let entries = if replaces.is_empty() { &[][..] } else { &entries[..] };
    let layout = Layout::of(id.dtype, dim);
    encode_with(&contents.records, contents.extra()?.as_ref(), entries, layout)
}

fn same_numbers(a: &Embedding, b: &Embedding) -> bool {
    let bits = |embedding: &Embedding| embedding.to_f32().into_iter().map(f32::to_bits).collect();
    let (a, b): (Vec<u32>, Vec<u32>) = (bits(a), bits(b));
    a == b
}

/// The rows of a shard of the Python package, each with the dtype that its key names, sorted into the shards that they
/// belong in.
///
/// # Errors
///
/// `Invalid` where a number has no exact form in that dtype, a key comes twice with other numbers, or the path does not
/// tell the encoder.
pub(super) fn parts_of(shard: &Shard) -> Result<Vec<(ShardId, Contents)>> {
    let (encoder_id, block) = legacy_shard_at(shard.path())
        .ok_or_else(|| invalid("its path is not one that the Python package gives a shard"))?;
    let contents = shard.contents()?;
    if contents.extra()?.is_some() {
        return Err(invalid("it has columns that the Python package does not write"));
    }
    let mut parts: BTreeMap<(Key, usize), (ShardId, Contents)> = BTreeMap::new();
    let mut seen: HashMap<WindowKey, Embedding> = HashMap::new();
    for mut record in contents.records {
        record.embedding = record
            .embedding
            .exactly(record.key.dtype)
            .ok_or_else(|| invalid(format!("it holds a number that is no {}", record.key.dtype)))?;
        let id = ShardId::of(encoder_id, record.chrom.as_str(), block, &record.key);
        let place = (shard_path_for(&id)?, record.embedding.len());
        if let Some(first) = seen.insert(record.key, record.embedding.clone()) {
            if same_numbers(&first, &record.embedding) {
                continue;
            }
            return Err(invalid("it has a key twice, with other numbers"));
        }
        let part = parts.entry(place).or_insert_with(|| (id, Contents::default()));
        part.1.records.push(record);
    }
    Ok(parts.into_values().collect())
}

/// One run of [`EmbeddingCache::compact`].
struct Compaction<'a> {
    cache: &'a EmbeddingCache,
    steps: &'a Steps,
    target_bytes: u64,
    report: CompactReport,
    /// What is not to be tried again.
    left: HashSet<Key>,
}

/// Small shards that may be merged, in the order of their blocks.
type Alike = Vec<(i64, ShardId, ShardInfo)>;

impl Compaction<'_> {
    /// Rewrites the shards of the Python package.
    fn rewrite_all(&mut self) -> Result<()> {
        let mut theirs = self.cache.shards()?;
        theirs.retain(|info| info.dim.is_none());
        for (done, info) in (1..).zip(&theirs) {
            self.rewrite(info)?;
            self.steps.report("rewrite", done, theirs.len());
        }
        Ok(())
    }

    /// Rewrites a shard of the Python package.
    fn rewrite(&mut self, info: &ShardInfo) -> Result<()> {
        let written = match self.try_rewrite(&info.path) {
            Err(error) if is_its_own_fault(&error) => {
                self.leave(&info.path, &error);
                return Ok(());
            }
            written => written?,
        };
        self.report.replaced += u64::from(!written.is_empty());
        self.report.written += written.len() as u64;
        self.report.rows += written.iter().sum::<u64>();
        Ok(())
    }

    /// Returns how many rows each shard has that was written.
    fn try_rewrite(&self, path: &Key) -> Result<Vec<u64>> {
        let cache = self.cache;
        let shard = cache.open_shard(path)?;
        if shard.is_ours() {
            return Ok(Vec::new());
        }
        let mut parts = parts_of(&shard)?;
        let named = [Replaced::of(&shard)?];
        let _alone = cache.write_alone()?;
        if !cache.index.has_shard(path)? {
            return Ok(Vec::new());
        }
        for (_, contents) in &mut parts {
            cache.without_known(contents, Some(path))?;
        }
        let mut written = Vec::new();
        for (id, contents) in parts.into_iter().filter(|(_, it)| !it.records.is_empty()) {
            cache.publish_in(id, &contents, &named)?;
            written.push(contents.records.len() as u64);
        }
        Ok(written)
    }

    /// Merges all that can be merged now; whether there was any.
    fn merge_once(&mut self) -> Result<bool> {
        let mut any = false;
        let groups = self.groups()?.into_iter();
        let all: Vec<_> = groups.flat_map(|group| batches(group, self.target_bytes)).collect();
        for (done, batch) in (1..).zip(&all) {
            any |= self.merge(batch)?;
            self.steps.report("merge", done, all.len());
        }
        Ok(any)
    }

    /// The shards that are smaller than they may be, by all that they have in common.
    fn groups(&mut self) -> Result<Vec<Alike>> {
        let mut alike: BTreeMap<(Key, usize), Alike> = BTreeMap::new();
        for (number, info) in self.cache.index.list()? {
            let (Some(id), Some(dim)) = (shard_at(&info.path), info.dim) else { continue };
            if self.left.contains(&info.path) || embedding_bytes(&id, &info) >= self.target_bytes {
                continue;
            }
            let first = shard_path_for(&ShardId { stride_block: 0, ..id.clone() })?;
            alike.entry((first, dim)).or_default().push((number, id, info));
        }
        let mut groups = Vec::new();
        for mut group in alike.into_values().filter(|group| group.len() > 1) {
            group.sort_by_key(|(_, id, _)| id.stride_block);
            groups.extend(self.by_extra(group)?);
        }
        Ok(groups)
    }

    /// Parts a group by the columns that are none of ours.
    fn by_extra(&mut self, group: Alike) -> Result<Vec<Alike>> {
        let mut parts: BTreeMap<Fields, Alike> = BTreeMap::new();
        for member in group {
            match self.cache.open_shard(&member.2.path) {
                Err(error) if is_its_own_fault(&error) => self.leave(&member.2.path, &error),
                shard => parts.entry(shard?.extra_fields()).or_default().push(member),
            }
        }
        Ok(parts.into_values().collect())
    }

    /// Puts one shard in the place of these; `false` where that was not to be done.
    fn merge(&mut self, batch: &Alike) -> Result<bool> {
        let (mut merged, mut replaced) = (Merged::default(), Vec::new());
        for (number, _, info) in batch {
            match self.append(&mut merged, &info.path) {
                Err(error) if is_its_own_fault(&error) => self.leave(&info.path, &error),
                named => replaced.push((*number, &info.path, named?)),
            }
        }
        let [(_, id, _), _, ..] = &batch[..] else { return Ok(false) };
        let cache = self.cache;
        let _alone = cache.write_alone()?;
        for (number, path, _) in &replaced {
            // Somebody else was here meanwhile.
            if cache.index.identity(path)?.is_none_or(|(id, _)| id != *number) {
                return Ok(false);
            }
        }
        if replaced.len() < 2 || merged.contents.records.is_empty() {
            self.left.extend(replaced.into_iter().map(|(_, path, _)| path.clone()));
            return Ok(false);
        }
        let id = ShardId { stride_block: cache.free_block(id)?, ..id.clone() };
        let names: Vec<_> = replaced.iter().map(|(_, _, named)| named.clone()).collect();
        cache.publish_in(id, &merged.contents, &names)?;
        for (_, path, _) in replaced {
            if cache.index.has_shard(path)? {
                // It has rows by now that are not in the new one: it is not merged for ever.
                self.left.insert(path.clone());
            } else {
                self.report.replaced += 1;
            }
        }
        self.report.written += 1;
        self.report.rows += merged.contents.records.len() as u64;
        Ok(true)
    }

    /// Adds the rows of a shard but for those that others hold.
    fn append(&self, merged: &mut Merged, path: &Key) -> Result<Replaced> {
        let shard = self.cache.open_shard(path)?;
        let mut contents = shard.contents()?;
        self.cache.without_known(&mut contents, Some(path))?;
        merged.append(contents)?;
        Replaced::of(&shard)
    }

    /// Leaves a shard as it is.
    fn leave(&mut self, path: &Key, error: &Error) {
        self.left.insert(path.clone());
        if error.kind() == ErrorKind::NotFound {
            // Somebody else has merged it.
            return;
        }
        let found: Problem = problem(path, error);
        if !self.report.problems.contains(&found) {
            self.report.problems.push(found);
        }
    }
}

/// The rows of several shards, each key once.
#[derive(Default)]
struct Merged {
    contents: Contents,
    /// Where each key is among the rows.
    places: HashMap<WindowKey, usize>,
}

impl Merged {
    fn append(&mut self, mut more: Contents) -> Result<()> {
        let mut is_new = Vec::with_capacity(more.records.len());
        for record in &more.records {
            let there = self.places.get(&record.key);
            let there = there.map(|place| &self.contents.records[*place].embedding);
            if there.is_some_and(|there| *there != record.embedding) {
                let message = "another shard has another embedding for a key of it: remove either";
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            is_new.push(there.is_none());
        }
        more.retain(&is_new)?;
        let first = self.contents.records.len();
        self.places.extend(more.records.iter().zip(first..).map(|(row, place)| (row.key, place)));
        self.contents.append(more);
        Ok(())
    }
}

fn embedding_bytes(id: &ShardId, info: &ShardInfo) -> u64 {
    let row = info.dim.unwrap_or_default() * id.dtype.stored_width();
    info.rows.saturating_mul(row as u64)
}

/// Cuts a group into those that fit into one shard; where that is only one, it is left as it is.
fn batches(group: Alike, target_bytes: u64) -> Vec<Alike> {
    let mut batches: Vec<Alike> = Vec::new();
    let (mut bytes, mut rows) = (0, 0);
    for member in group {
        let (more_bytes, more_rows) = (embedding_bytes(&member.1, &member.2), member.2.rows);
        let sums = (more_bytes.saturating_add(bytes), more_rows.saturating_add(rows));
        let fits = sums.0 <= target_bytes && sums.1 <= MAX_ROWS;
        match batches.last_mut().filter(|last| fits && last.len() < MAX_REPLACED) {
            Some(last) => {
                last.push(member);
                (bytes, rows) = sums;
            }
            None => {
                batches.push(vec![member]);
                (bytes, rows) = (more_bytes, more_rows);
            }
        }
    }
    batches.retain(|batch| batch.len() > 1);
    batches
}

/// Whether the shard is to blame, and not the storage or the index.
pub(super) fn is_its_own_fault(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Corrupt
            | ErrorKind::Format
            | ErrorKind::Unsupported
            | ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::NotFound
    )
}
