use std::path::Path;

use larder_sqlite::{Attempt, Database};
use larder_storage::{ErrorKind, Problem, Result};
use rusqlite::{Connection, Row};
use serde::de::IgnoredAny;

use crate::{VerifyReport, table::Stored};

/// Checks the database itself, then every live entry; `place` names an entry in a message.
pub(crate) fn verify(database: &Database, place: impl Fn(&str) -> String) -> Result<VerifyReport> {
    let checked =
        database.verify().and_then(|()| database.read(|db| entries(db, database.path(), &place)));
    match checked {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let problem = Problem::new(database.path().display(), error.chain());
            Ok(VerifyReport { entries: 0, problems: vec![problem] })
        }
        checked => checked,
    }
}

fn entries(db: &Connection, path: &Path, place: &impl Fn(&str) -> String) -> Attempt<VerifyReport> {
    let mut report = VerifyReport::default();
    if !db
        .prepare("SELECT 1 FROM meta WHERE name = 'cleared_through' AND typeof(value) = 'integer'")?
        .exists([])?
    {
        let what = "the mark of what was cleared is gone, so every read misses";
        report.problems.push(Problem::new(path.display(), what));
    }
    let mut query =
        db.prepare("SELECT encoding, crc32c, value, key FROM live_entry ORDER BY id")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        report.entries += 1;
        report.problems.extend(entry(row, path, place)?);
    }
    Ok(report)
}

fn entry(row: &Row<'_>, path: &Path, place: &impl Fn(&str) -> String) -> Attempt<Option<Problem>> {
    let Ok(key) = row.get_ref(3)?.as_str() else {
        return Ok(Some(Problem::new(path.display(), "a stored key is damaged")));
    };
    let wrong = match Stored::of(row)?.into_json(key, &place(key)) {
        Err(error) => Some(error.to_string()),
        Ok(text) => serde_json::from_slice::<IgnoredAny>(&text)
            .err()
            .map(|error| format!("{} is no JSON: {error}", place(key))),
    };
    Ok(wrong.map(|what| Problem::new(key, what)))
}
