use std::path::Path;

use larder_storage::{Durability, Error, ErrorKind, Key, LocalStorage, Result, Storage};

use super::{
    EmbeddingCache,
    compact::{is_its_own_fault, parts_of},
    sync::{problem, removed},
};
use crate::{
    ImportReport,
    path::{SHARDS, is_shard, legacy_shard_at},
    record::invalid,
    shard::Shard,
};

impl EmbeddingCache {
    /// Takes on every shard of the cache that the Python package wrote in the directory `dir`, which is only read, in
    /// Larder's own layout. An encoder is named as its path spells it, with `__` for `/`; what the package keeps as
    /// `float16` for a key of another dtype is widened to that one.
    ///
    /// A shard is taken on with all of its rows or not at all: those that cannot be read, hold a number that has no
    /// exact form in its dtype, or a key for which other numbers are here, are left out, and the report says why. Rows
    /// that are here already are passed over, so the same import may be done again, also after a kill.
    ///
    /// # Errors
    ///
    /// `NotFound` where `dir` holds no such cache; `Full`, `Io` or `Backend` where the storage or the index fails.
    pub fn import_python(&self, dir: impl AsRef<Path>) -> Result<ImportReport> {
        let dir = dir.as_ref();
        if !dir.join(SHARDS).is_dir() {
            let message =
                "holds no cache of the Python package: there is no directory `embeddings`";
            return Err(Error::new(ErrorKind::NotFound, message).at_path(dir));
        }
        let theirs = LocalStorage::open(dir, Durability::Process)?;
        let mut paths: Vec<Key> = theirs.keys(Some(&Key::new(SHARDS)?))?.collect::<Result<_>>()?;
        paths.retain(is_shard);
        paths.sort_by_cached_key(|path| {
            (path.parent(), legacy_shard_at(path).map(|(_, block)| block))
        });
        let mut report = ImportReport::default();
        self.observer.watch(|steps| {
            for (done, path) in (1..).zip(&paths) {
                match self.import_shard(&theirs, path) {
                    Err(error) if is_its_own_fault(&error) => {
                        report.problems.push(problem(path, &error));
                    }
                    rows => {
                        report.rows += rows?;
                        report.shards += 1;
                    }
                }
                steps.report("import", done, paths.len());
            }
            Ok(report)
        })
    }

    /// Returns how many rows are new.
    fn import_shard(&self, theirs: &LocalStorage, path: &Key) -> Result<u64> {
        let reader = theirs.open(path)?.ok_or_else(|| removed(path))?;
        let shard = Shard::open(path, reader.into())?;
        if shard.is_ours() {
            return Err(invalid("Larder wrote it: open that cache itself"));
        }
        let mut parts = parts_of(&shard)?;
        let _alone = self.write_alone()?;
        for (_, contents) in &mut parts {
            self.without_known(contents, None)?;
        }
        let mut rows = 0;
        for (id, contents) in parts.into_iter().filter(|(_, it)| !it.records.is_empty()) {
            self.publish_in(id, &contents, &[])?;
            rows += contents.records.len() as u64;
        }
        Ok(rows)
    }
}
