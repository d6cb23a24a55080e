//! What is told of a benchmark, and its section of `docs/benchmarks.md`.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use crate::{Outcome, chart, machine, rounds::Table};

/// The tables of one benchmark.
#[derive(Debug)]
pub(crate) struct Report {
    /// What is compared, in a paragraph.
    pub(crate) about: &'static str,
    /// Crates of the lock file whose versions are told.
    pub(crate) peers: &'static [&'static str],
    pub(crate) tables: Vec<Table>,
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let rounds = self.tables.iter().map(|table| table.rounds).min().unwrap_or(0);
        let mut text = format!(
            "{}\n\nAt least {rounds} rounds; {}.\n",
            self.about,
            machine::describe(self.peers)
        );
        for table in &self.tables {
            let _ =
                write!(text, "\n| {} | median | of the floor |\n|---|---:|---:|\n", table.title);
            for row in &table.rows {
                let _ = writeln!(
                    text,
                    "| {} | {} | {:.2} |",
                    row.name,
                    duration(row.seconds),
                    row.of_floor
                );
            }
        }
        text
    }
}

/// A time with three figures and its unit.
pub(crate) fn duration(seconds: f64) -> String {
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
    fn times_have_three_figures() {
        let told = [5.2e-7, 4.22e-6, 39.61e-6, 2.27931e-3, 0.3028, 12.0].map(duration);
        assert_eq!(told, ["520 ns", "4.22 us", "39.6 us", "2.28 ms", "303 ms", "12.0 s"]);
    }
}
