use std::{collections::BTreeSet, fmt::Display, path::Path};

use larder_storage::{ErrorKind, Key, Problem, Result, lock::FileLock};
use serde::Serialize;

use crate::{core::Core, index::Row, meta, scan::scan, tree::measure};

/// What [`DirCache::verify`](crate::DirCache::verify) found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many entries were looked at.
    pub entries: u64,
    /// What is wrong; empty where all is well. The place is a key or a path.
    pub problems: Vec<Problem>,
}

impl Report {
    fn add(&mut self, place: impl Display, what: impl Display) {
        self.problems.push(Problem::new(place, what));
    }
}

const RECOUNT: &str = "a recount puts it right";

impl Core {
    pub(crate) fn verify(&self) -> Result<Report> {
        let mut report = Report::default();
        match self.index.verify() {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                report.add(".larder/dirs.sqlite", error.chain().to_string());
                return Ok(report);
            }
            checked => checked?,
        }
        self.verify_counters(&mut report)?;
        self.verify_places(&mut report)?;
        for row in self.index.live()? {
            report.entries += 1;
            let checked = Key::new(&row.key).and_then(|key| self.verify_entry(&key));
            match checked {
                Ok(None) => {}
                Ok(Some(what)) => report.add(row.key, what),
                Err(error) => report.add(row.key, error.chain().to_string()),
            }
        }
        Ok(report)
    }

    fn verify_counters(&self, report: &mut Report) -> Result<()> {
        let (kept, right) = (self.index.counters()?, self.index.sums()?);
        // An entry may come between the two questions; then the second answer to the first one fits.
        if kept != right && self.index.counters()? != right {
            report.add("counters", format!("say {kept:?}, and the entries add up to {right:?}"));
        }
        Ok(())
    }

    /// What lies in the root and in the index's list of keys, without looking into entries.
    fn verify_places(&self, report: &mut Report) -> Result<()> {
        for key in self.index.unfinished()? {
            let lease_file = self.lease_file(&Key::new(&key)?);
            if FileLock::try_exclusive(&lease_file)?.is_some() {
                report.add(
                    key,
                    "a process died while it published or removed this: open the cache again",
                );
            }
        }
        let scan = scan(self.storage.root(), &self.index.keys()?)?;
        // Entries may have come during the scan.
        let known = self.index.keys()?;
        for key in scan.unknown.iter().filter(|key| !known.contains(key.as_str())) {
            report.add(
                key.as_str(),
                format!("was made by another program and is not counted: {RECOUNT}"),
            );
        }
        for path in scan.strangers.iter().filter(|path| !self.is_inside(path, &known)) {
            report.add(
                path.display().to_string(),
                "holds what belongs to no entry: move it out of the cache",
            );
        }
        Ok(())
    }

    /// Whether the path is that of one of the entries or below it.
    fn is_inside(&self, path: &Path, known: &BTreeSet<String>) -> bool {
        let below_root = path.strip_prefix(self.storage.root()).unwrap_or(path);
        below_root
            .ancestors()
            .any(|above| above.to_str().is_some_and(|above| known.contains(above)))
    }

    /// What is wrong with one entry; it stays in its place meanwhile.
    fn verify_entry(&self, key: &Key) -> Result<Option<String>> {
        let path = self.path(key)?;
        let Some(_lease) = FileLock::try_shared(&self.lease_file(key))? else { return Ok(None) };
        if !self.index.is_live(key.as_str())? {
            return Ok(None);
        }
        let Some(row) = self.index.find(key.as_str())? else { return Ok(None) };
        if !path.is_dir() {
            return Ok(Some(format!("its directory is gone: {RECOUNT}")));
        }
        let tree = measure(&path)?;
        if !tree.agrees(&row) {
            let what = format!(
                "has {} bytes in {} files where {} in {} were published: remove it, or accept it by a recount",
                tree.size, tree.files, row.size, row.files
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
