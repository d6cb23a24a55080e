use larder_storage::{ErrorKind, Key, Problem, PutIf, Result, publish, time};

use super::{EmbeddingCache, compact::is_its_own_fault, sync::problem};
use crate::{
    RepairReport, VerifyReport,
    index::Indexed,
    path::quarantine_path,
    progress::Steps,
    shard::{RowEntry, Shard},
};

impl EmbeddingCache {
    /// Reads every shard whole, moves the damaged ones to `embeddings/.quarantine/`, and makes the index anew. Nothing
    /// is deleted. Shards of a newer version stay where they are, and are reported by the reindexing.
    ///
    /// # Errors
    ///
    /// As [`reindex`](Self::reindex), and where a shard cannot be moved.
    pub fn repair(&self) -> Result<RepairReport> {
        self.observer.watch(|steps| self.repair_with(steps))
    }

    fn repair_with(&self, steps: &Steps) -> Result<RepairReport> {
        let _alone = self.write_alone()?;
        let shards = self.list()?;
        let mut quarantined = Vec::new();
        for (done, path) in (1..).zip(&shards) {
            match self.open_whole(path).and_then(|shard| shard.verify()) {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    quarantined.push(self.quarantine(path)?.to_string());
                }
                // The reindexing tells of it.
                Err(error) if is_its_own_fault(&error) => {}
                verified => drop(verified?),
            }
            steps.report("repair", done, shards.len());
        }
        Ok(RepairReport {
            checked_shards: shards.len() as u64,
            quarantined,
            reindex: self.reindex_alone(steps)?,
        })
    }

    fn quarantine(&self, path: &Key) -> Result<Key> {
        let mut target = quarantine_path(path)?;
        if self.storage.open(&target)?.is_some() {
            let suffix = format!(".{}.bad", time::now_ns());
            // A name that has no room for the suffix is told by the directory it lies in and the time.
            let short = |_| quarantine_path(path)?.parent().unwrap_or(target.clone()).join(&suffix);
            target = target.with_suffix(&suffix).or_else(short)?;
        }
        match self.storage.local_root() {
            // Renamed, because what cannot be read cannot be copied.
            Some(root) => {
                publish::set_aside(&root.join(path.as_str()), &root.join(target.as_str()))?
            }
            None => {
                if let Some(object) = self.storage.get(path)? {
                    self.storage.put(&target, object.into_bytes(), PutIf::Absent)?;
                    self.storage.remove(path)?;
                }
            }
        }
        Ok(target)
    }

    /// Reads and checks everything, changes nothing, and says what is wrong: structure, rules and checksums of every
    /// shard, that each row can be read by its offset, and that the index agrees with the shards.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the shards cannot be listed or the index cannot be read.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.observer.watch(|steps| self.verify_with(steps))
    }

    fn verify_with(&self, steps: &Steps) -> Result<VerifyReport> {
        let mut report = VerifyReport { shards: 0, rows: 0, problems: Vec::new() };
        let listed = self.list()?;
        let mut gone = match self.index.verify().and_then(|()| self.index.shards()) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                report.problems.push(Problem::new(self.index.path().display(), error.message()));
                return Ok(report);
            }
            indexed => indexed?,
        };
        for (done, path) in (1..).zip(&listed) {
            report.shards += 1;
            let indexed = gone.remove(path);
            match self.open_whole(path).and_then(|shard| Ok((shard.verify()?, shard))) {
                Ok((rows, shard)) => {
                    report.rows += rows.len() as u64;
                    let wrong = if indexed {
                        self.disagreement(&shard, &rows)?
                    } else {
                        Some("is not indexed".into())
                    };
                    report.problems.extend(wrong.map(|wrong| Problem::new(path, wrong)));
                }
                Err(error) => report.problems.push(problem(path, &error)),
            }
            steps.report("verify", done, listed.len());
        }
        let mut gone: Vec<_> =
            gone.into_iter().map(|path| Problem::new(path, "is in the index and gone")).collect();
        gone.sort_by(|a, b| a.place.cmp(&b.place));
        report.problems.extend(gone);
        Ok(report)
    }

    /// How the index differs from the rows of a shard.
    fn disagreement(&self, shard: &Shard, rows: &[RowEntry]) -> Result<Option<String>> {
        let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
        let found = match self.index.find(&keys) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                return Ok(Some(error.message().to_owned()));
            }
            found => found?,
        };
        let agree = rows.iter().zip(found).filter(|(row, found)| {
            found.as_ref().is_some_and(|found| {
                let Indexed { path, length, dim, .. } = &*found.shard;
                (path, *length, *dim) == (shard.path(), shard.len(), shard.dim())
                    && (found.row, found.crc, found.offset) == (row.row, row.crc, row.offset)
            })
        });
        let (agree, indexed, all) =
            (agree.count() as u64, self.index.count_rows(shard.path())?, rows.len() as u64);
        // Those that were compacted into another shard are right where they are.
        let moved = if agree < all { self.rows_moved(shard, rows)? as u64 } else { 0 };
        let wrong = (all - agree).saturating_sub(moved) + (indexed - agree.min(indexed));
        Ok((wrong > 0).then(|| {
            format!("the index is wrong about {wrong} of its {all} rows: `reindex` mends that")
        }))
    }
}
