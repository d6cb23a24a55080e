//! Tables for people, JSON for programs.

use std::{
    fs,
    io::{self, Write},
    path::{self, Path, PathBuf},
    time::{Duration, SystemTime},
};

use larder::storage::{Durability, Error, ErrorKind, Result, publish::Stage, time};
use serde::Serialize;

/// Prints `value` as one JSON document.
///
/// # Errors
/// As [`print`].
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let mut text =
        serde_json::to_string_pretty(value).map_err(|error| unprintable(error.into()))?;
    text.push('\n');
    print(&text)
}

/// Prints `text` as it is.
///
/// # Errors
/// `Io` or `Full` where it cannot be written.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(unprintable),
    }
}

fn unprintable(error: io::Error) -> Error {
    Error::io(error, "cannot print the result")
}

/// Where a file is staged, and its whole path.
///
/// # Errors
/// `Invalid` where `file` is something else than a file; `NotFound` where its directory is not there; `Io` where that
/// cannot be told.
pub(crate) fn stage(file: &Path) -> Result<(Stage, PathBuf)> {
    let target = path::absolute(file)
        .map_err(|error| Error::io(error, "cannot find the file").at_path(file))?;
    if fs::metadata(&target).is_ok_and(|found| !found.is_file()) {
        let message = "is no ordinary file: name another one";
        return Err(Error::new(ErrorKind::Invalid, message).at_path(file));
    }
    let Some(dir) = target.parent().filter(|dir| dir.is_dir()) else {
        let message = "its directory is not there: make it first";
        return Err(Error::new(ErrorKind::NotFound, message).at_path(file));
    };
    Ok((Stage::new(dir, Durability::Process), target))
}

/// Writes a file: what was there stays until it is whole.
///
/// # Errors
/// As [`stage`]; `Io` or `Full` where it cannot be written.
pub(crate) fn file(file: &Path, content: &[u8]) -> Result<()> {
    let (stage, target) = stage(file)?;
    stage.write(&target, content)
}

/// Rows of cells under a head: the first column to the left, numbers to the right.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { rows: vec![head.map(str::to_owned).to_vec()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            push_line(&mut text, row, &widths);
            if index == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
                push_line(&mut text, &rules, &widths);
            }
        }
        text
    }
}

fn push_line(text: &mut String, cells: &[String], widths: &[usize]) {
    let padded = cells.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
        0 => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    });
    let line: Vec<String> = padded.collect();
    text.push_str(line.join("  ").trim_end());
    text.push('\n');
}

/// Prints which of some keys were removed, and which were not there.
///
/// # Errors
/// As [`print`].
pub(crate) fn removed(removed: &[&String], missing: &[&String], as_json: bool) -> Result<()> {
    if as_json {
        return json(&serde_json::json!({ "removed": removed, "missing": missing }));
    }
    let lines: String = missing.iter().map(|key| format!("not there  {key}\n")).collect();
    let all = removed.len() + missing.len();
    print(&format!("{lines}removed {} of {all}\n", removed.len()))
}

/// Text that came from elsewhere, on one line.
pub(crate) fn one_line(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// A number of bytes for people: `412 B`, `1.5 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A time in milliseconds for people: three digits that count.
pub(crate) fn millis(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

/// A length of time for people, in the largest unit of which there is a whole one: `12s`, `5m`, `3h`, `2d`.
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..60 => format!("{seconds}s"),
        seconds @ ..3_600 => format!("{}m", seconds / 60),
        seconds @ ..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A point in time in UTC to the second: `2026-01-31T23:59:59Z`. Times before 1970 become 1970.
pub(crate) fn utc(time: SystemTime) -> String {
    time::utc(time, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_units() {
        let cases = [(0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h")];
        for (seconds, text) in cases.into_iter().chain([(86_400, "1d"), (8_640_000, "100d")]) {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn units_change_where_a_reader_expects_it() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (u64::MAX, "16384.0 PiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
        let cases =
            [(0.1234, "0.12 ms"), (12.34, "12.3 ms"), (123.4, "123 ms"), (12_340.0, "12.3 s")];
        for (ms, text) in cases {
            assert_eq!(millis(ms), text);
        }
    }

    #[test]
    fn a_line_stays_one() {
        assert_eq!(one_line("\"é\"\n\u{1b}[31m'"), "\"é\"\\n\\u{1b}[31m'");
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["step", "time"]);
        table.row(["é".to_owned(), "1 ms".to_owned()]);
        table.row(["genome".to_owned(), "100 ms".to_owned()]);
        assert_eq!(
            table.render(),
            "step      time\n──────  ──────\né         1 ms\ngenome  100 ms\n"
        );
    }
}
