//! How much of a file is read for one row of it.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

use rustix::fs::{Advice, fadvise};
use serde_json::json;

use super::{
    ROW,
    shelf::{NAME, Shelf},
};
use crate::{
    Outcome,
    random::draw,
    rounds::{Row, Table, Unit},
};

/// Few enough that what is read ahead for one is seldom what another one needs.
const ROWS: usize = 20;

/// None on a file system that reads from no disk.
pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Option<Table>> {
    let rows = draw(ROWS, shelf.rows(), 0);
    let floor = bare(shelf, &rows)?;
    if floor == 0.0 {
        eprintln!("array: nothing is told of cold reads: files lie on no disk");
        return Ok(None);
    }
    let mut read = vec![("bare pread", floor), ("Larder", larder(shelf, &rows)?)];
    if let Some(python) = &shelf.python {
        forget(&shelf.npy())?;
        read.push(("numpy memmap", python.ask(&json!({ "request": "cold", "numbers": rows }))?));
    }
    let row =
        |(name, value): (&str, f64)| Row { name: name.into(), value, of_floor: value / floor };
    let (title, unit) = ("read from the disk for a row of 8 KiB".into(), Unit::Bytes);
    let rows = read.into_iter().map(row).collect();
    Ok(Some(Table { title, unit, rounds: 1, things: 1, rows }))
}

fn bare(shelf: &Shelf<'_>, rows: &[usize]) -> Outcome<f64> {
    let file = File::open(shelf.bare())?;
    let mut bytes = vec![0; ROW];
    forget(&shelf.bare())?;
    per_row(rows, |row| Ok(file.read_exact_at(&mut bytes, (row * ROW) as u64)?))
}

fn larder(shelf: &Shelf<'_>, rows: &[usize]) -> Outcome<f64> {
    let array = shelf.stored()?;
    // What is opened with the first row.
    array.rows(0..1)?;
    forget(&shelf.larder().join(format!("{NAME}.npy")))?;
    per_row(rows, |row| Ok(array.rows(row..row + 1).map(drop)?))
}

/// Takes a file out of the page cache.
fn forget(path: &Path) -> Outcome {
    let file = File::open(path)?;
    // Pages that are not on the disk yet would stay.
    file.sync_all()?;
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

/// How many bytes this process reads from a disk for each of the rows.
fn per_row(rows: &[usize], mut read: impl FnMut(usize) -> Outcome) -> Outcome<f64> {
    let before = read_bytes()?;
    rows.iter().try_for_each(|row| read(*row))?;
    Ok((read_bytes()? - before) as f64 / rows.len() as f64)
}

fn read_bytes() -> Outcome<u64> {
    let figures = fs::read_to_string("/proc/self/io")?;
    let found = figures.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    Ok(found.ok_or("the system does not count what is read")?.parse()?)
}
