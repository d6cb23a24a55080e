//! What is told of a benchmark, and its section of `docs/benchmarks.md`.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Outcome, chart, machine,
    rounds::{Row, Table, Unit},
};

/// The tables of one benchmark.
#[derive(Debug)]
pub(crate) struct Report {
    /// What is compared, in a paragraph.
    pub(crate) about: &'static str,
    /// Crates of the lock file whose versions are told.
    pub(crate) crates: &'static [&'static str],
    /// Contenders that are no crates, with their versions; may be empty.
    pub(crate) others: String,
    pub(crate) tables: Vec<Table>,
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let timed = self.tables.iter().filter(|table| table.unit == Unit::Seconds);
        let rounds = timed.map(|table| table.rounds).min().unwrap_or(0);
        let machine = machine::describe(self.crates, &self.others);
        let mut text = format!("{}\n\nAt least {rounds} rounds; {machine}.\n", self.about);
        self.tables.iter().for_each(|table| write_table(&mut text, table));
        text
    }
}

fn write_table(text: &mut String, table: &Table) {
    let (head, line) = if table.things > 1 { (" per second |", "---:|") } else { ("", "") };
    let (title, unit) = (&table.title, table.unit);
    let measure = match unit {
        Unit::Seconds => "median",
        Unit::Bytes => "size",
        Unit::Share => "share",
    };
    let _ = write!(text, "\n| {title} | {measure} |{head} of the floor |\n|---|---:|{line}---:|\n");
    for Row { name, value, of_floor } in &table.rows {
        let _ = write!(text, "| {name} | {} |", told(unit, *value));
        if table.things > 1 {
            let _ = write!(text, " {} |", thousands(table.things as f64 / value));
        }
        let _ = writeln!(text, " {of_floor:.2} |");
    }
}

/// A value with its unit.
pub(crate) fn told(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds => duration(value),
        Unit::Bytes if value < 1e6 => format!("{:.1} kB", value / 1e3),
        Unit::Bytes => format!("{:.1} MB", value / 1e6),
        Unit::Share => format!("{value:.4}"),
    }
}

/// A rate in whole thousands.
fn thousands(rate: f64) -> String {
    format!("{:.0} k", rate / 1e3)
}

/// A time with three figures and its unit.
fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        ..1e-6 => (seconds * 1e9, "ns"),
        ..1e-3 => (seconds * 1e6, "us"),
        ..1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let decimals = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// Puts the section and the chart of `name` into the documents.
pub(crate) fn write(name: &str, report: &Report) -> Outcome {
    let docs = repository().join("docs");
    let page = docs.join("benchmarks.md");
    let section = format!("![{name}](benchmarks/{name}.svg)\n\n{}", report.markdown());
    let text = replace(&fs::read_to_string(&page)?, name, &section)?;
    fs::create_dir_all(docs.join("benchmarks"))?;
    fs::write(docs.join("benchmarks").join(format!("{name}.svg")), chart::draw(&report.tables))?;
    Ok(fs::write(page, text)?)
}

/// The page with another section between the marks of `name`.
fn replace(page: &str, name: &str, section: &str) -> Outcome<String> {
    let (open, close) = (format!("<!-- bench {name} -->\n"), format!("<!-- end {name} -->"));
    let found = page.split_once(&open).and_then(|(before, rest)| {
        rest.split_once(&close)
            .map(|(_, after)| format!("{before}{open}\n{section}\n{close}{after}"))
    });
    found.ok_or_else(|| format!("the page has no marks '{}' and '{close}'", open.trim()).into())
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_rest_kept() {
        let page = "# A\n<!-- bench x -->\nold\n<!-- end x -->\n## B\n";
        let new = "# A\n<!-- bench x -->\n\nnew\n<!-- end x -->\n## B\n";
        assert_eq!(replace(page, "x", "new").unwrap(), new);
        assert_eq!(replace(new, "x", "new").unwrap(), new);
        assert!(replace(page, "y", "new").is_err());
    }

    #[test]
    fn calls_about_many_things_have_a_rate() {
        let table = |things| {
            let row = Row { name: "a".into(), value: 0.25, of_floor: 2.0 };
            let mut text = String::new();
            let (title, unit) = ("work".into(), Unit::Seconds);
            let table = Table { title, unit, rounds: 1, things, rows: vec![row] };
            write_table(&mut text, &table);
            text
        };
        assert_eq!(
            table(1),
            "\n| work | median | of the floor |\n|---|---:|---:|\n| a | 250 ms | 2.00 |\n"
        );
        let head = "\n| work | median | per second | of the floor |\n|---|---:|---:|---:|\n";
        assert_eq!(table(100_000), format!("{head}| a | 250 ms | 400 k | 2.00 |\n"));
    }

    #[test]
    fn sizes_and_shares_are_no_times() {
        let row = Row { name: "a".into(), value: 5.6e6, of_floor: 1.3 };
        let (title, unit) = ("space".into(), Unit::Bytes);
        let table = Table { title, unit, rounds: 1, things: 1, rows: vec![row] };
        let mut text = String::new();
        write_table(&mut text, &table);
        assert_eq!(
            text,
            "\n| space | size | of the floor |\n|---|---:|---:|\n| a | 5.6 MB | 1.30 |\n"
        );
        assert_eq!(told(Unit::Bytes, 8192.0), "8.2 kB");
        assert_eq!(told(Unit::Share, 0.36197), "0.3620");
    }

    #[test]
    fn times_have_three_figures() {
        let told = [5.2e-7, 4.22e-6, 39.61e-6, 2.27931e-3, 0.3028, 12.0].map(duration);
        assert_eq!(told, ["520 ns", "4.22 us", "39.6 us", "2.28 ms", "303 ms", "12.0 s"]);
    }
}
