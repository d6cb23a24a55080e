use std::path::Path;

use larder_sqlite::{Attempt, Database};
use larder_storage::{ErrorKind, Problem, Result};
use rusqlite::{Connection, Row};
use serde::de::IgnoredAny;

use super::read::stored;
use crate::VerifyReport;

/// Checks the database itself, then every live entry; `place` names an entry in a message.
pub(super) fn verify(database: &Database, place: impl Fn(&str) -> String) -> Result<VerifyReport> {
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

/// What has to hold of the tables together, where the entries are sound whether it does or not: a query that finds a row
/// where it does not, and what that means.
const RULES: [(&str, &str); 3] = [
    (
        "SELECT 1 FROM entry_tag WHERE entry NOT IN (SELECT id FROM entry) OR tag NOT IN (SELECT id FROM tag)",
        "tags belong to no entry: `vacuum` removes them",
    ),
    (
        "SELECT 1 FROM meta WHERE name = 'bytes' AND value <> (SELECT ifnull(sum(bytes), 0) FROM ranking)",
        "the bytes under the capacity are counted wrong: take the capacity back and set it again",
    ),
    (
        "SELECT 1 FROM meta WHERE name = 'capacity' AND (
            EXISTS (SELECT id FROM entry EXCEPT SELECT entry FROM ranking)
            OR EXISTS (SELECT entry FROM ranking EXCEPT SELECT id FROM entry))",
        "not the entries that are there count for the capacity: take the capacity back and set it again",
    ),
];

fn entries(db: &Connection, path: &Path, place: &impl Fn(&str) -> String) -> Attempt<VerifyReport> {
    let mut report = VerifyReport::default();
    for (broken, what) in RULES {
        if db.prepare(broken)?.exists([])? {
            report.problems.push(Problem::new(path.display(), what));
        }
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
    let wrong = match stored(row)?.unpack(key, || place(key)) {
        Err(error) => Some(error.to_string()),
        Ok(text) => serde_json::from_slice::<IgnoredAny>(&text)
            .err()
            .map(|error| format!("{} is no JSON: {error}", place(key))),
    };
    Ok(wrong.map(|what| Problem::new(key, what)))
}
