use std::{collections::BTreeSet, fmt::Display, path::Path};

use larder_storage::{ErrorKind, Key, Problem, Result, lock::FileLock};
use serde::Serialize;

use crate::{
    core::Core,
    index::{Row, State},
    meta,
    scan::scan,
    settle::is_real_dir,
    tree::measure,
};

/// What [`DirCache::verify`](crate::DirCache::verify) found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// How many entries were looked at.
    pub entries: u64,
    /// What is wrong; empty where all is well. The place is a key or a path.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, place: impl Display, what: impl Display) {
        self.problems.push(Problem::new(place, what));
    }
}

const RECOUNT: &str = "a recount puts it right";

impl Core {
    pub(crate) fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        match self.index.verify().and_then(|()| self.verify_all(&mut report)) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                report.add(".larder/dirs.sqlite", error.chain());
            }
            checked => checked?,
        }
        Ok(report)
    }

    fn verify_all(&self, report: &mut VerifyReport) -> Result<()> {
        self.verify_counters(report)?;
        self.verify_places(report)?;
        for key in self.index.live_keys()? {
            report.entries += 1;
            match self.verify_entry(&key) {
                Ok(None) => {}
                Ok(Some(what)) => report.add(key, what),
                Err(error) => report.add(key, error.chain()),
            }
        }
        Ok(())
    }

    fn verify_counters(&self, report: &mut VerifyReport) -> Result<()> {
        let (kept, right) = self.index.counters_and_sums()?;
        if kept != right {
            report.add("counters", format!("say {kept:?}, and the entries add up to {right:?}"));
        }
        Ok(())
    }

    /// What lies in the root and in the index's list of keys, without looking into entries.
    fn verify_places(&self, report: &mut VerifyReport) -> Result<()> {
        for key in self.index.unfinished()? {
            let lock = FileLock::try_exclusive(&self.lease_file(&key))?;
            let row = self.index.find(key.as_str())?;
            // It may have been finished since it was listed.
            if lock.is_some() && row.is_some_and(|row| row.state != State::Live) {
                report.add(
                    key,
                    "a process died while it published or removed this: open the cache again",
                );
            }
        }
        let scan = scan(self.storage.root(), &self.index.keys()?)?;
        for error in &scan.unread {
            report.add(self.storage.root().display(), error.chain());
        }
        // Entries may have come during the scan.
        let known = self.index.keys()?;
        for key in scan.unknown.iter().filter(|key| !known.contains(*key)) {
            report.add(key, format!("was made by another program and is not counted: {RECOUNT}"));
        }
        for path in scan.strangers.iter().filter(|path| !self.is_inside(path, &known)) {
            report.add(path.display(), "holds what belongs to no entry: move it out of the cache");
        }
        Ok(())
    }

    /// Whether the path is that of one of the entries or below it.
    fn is_inside(&self, path: &Path, known: &BTreeSet<Key>) -> bool {
        let below_root = path.strip_prefix(self.storage.root()).unwrap_or(path);
        let mut above = below_root.ancestors().filter_map(Path::to_str);
        above.any(|above| known.contains(above))
    }

    /// What is wrong with one entry; it stays in its place meanwhile.
    fn verify_entry(&self, key: &Key) -> Result<Option<String>> {
        let path = self.path(key)?;
        let Some(_lease) = FileLock::try_shared(&self.lease_file(key))? else { return Ok(None) };
        let row = self.index.find(key.as_str())?.filter(|row| row.state == State::Live);
        let Some(row) = row else { return Ok(None) };
        if !is_real_dir(&path)? {
            return Ok(Some(format!("its directory is gone: {RECOUNT}")));
        }
        let tree = measure(&path, self.options.measure)?;
        if !tree.has_files_of(&row) {
            let what = format!(
                "has {} files of {} bytes where {} of {} were published: remove it, or accept it by a recount",
                tree.files, tree.size, row.files, row.size
            );
            return Ok(Some(what));
        }
        Ok(meta_problem(&meta::read(&path), &row))
    }
}

fn meta_problem(meta: &Result<meta::Meta>, row: &Row) -> Option<String> {
    // Where it is behind the index it is written anew in any case.
    let in_step = i64::try_from(row.access_count).is_ok_and(|count| count == row.meta_count);
    match meta {
        Err(error) if in_step => Some(error.chain().to_string()),
        _ => None,
    }
}
