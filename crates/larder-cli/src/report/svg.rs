//! A plot of a genome as SVG: GC skew, cumulative skew, GC content and open reading frames.

use std::io::{self, Write};

use crate::genome::orf::Orf;

mod axis;
mod panel;
mod scale;
mod text;

use text::{Anchor, Style, escape, group_thousands};

/// The most panels that one plot has: the longest records of the genome.
const MAX_PANELS: usize = 4;

const WIDTH: f64 = 1200.0;
/// The plotting area lies between these two; the axes' numbers and titles lie outside.
const LEFT: f64 = 92.0;
const RIGHT: f64 = 1108.0;

const HEADER_HEIGHT: f64 = 104.0;
const SINGLE_PANEL_HEIGHT: f64 = 580.0;
const PANEL_HEIGHT: f64 = 440.0;
const FOOTER_HEIGHT: f64 = 16.0;

const INK: &str = "#1f2933";
const MUTED: &str = "#5b6773";
const RULE: &str = "#c9d0d6";
const GRID: &str = "#edf0f2";
const POSITIVE: &str = "#0072b2";
const NEGATIVE: &str = "#d55e00";
const CONTENT: &str = "#00805c";
const FORWARD: &str = "#6f5aa8";
const REVERSE: &str = "#a66a9b";

/// A part of the plot from its top to its bottom, in pixels.
type Span = (f64, f64);

/// What a plot shows.
#[derive(Clone, Debug)]
pub(crate) struct Plot<'a> {
    /// The name of the genome.
    pub(crate) title: &'a str,
    /// The window of the two signals, in bases.
    pub(crate) window: usize,
    /// The least length of an open reading frame, in amino acids.
    pub(crate) min_codons: usize,
    /// The records; the longest few are drawn, in the order given.
    pub(crate) records: &'a [Track<'a>],
}

/// One record with its signals, one value per base, and its open reading frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Track<'a> {
    /// The name of the record.
    pub(crate) name: &'a str,
    /// Its bases, upper case.
    pub(crate) sequence: &'a [u8],
    /// [GC content](crate::genome::signal::gc_content).
    pub(crate) gc_content: &'a [f32],
    /// [GC skew](crate::genome::signal::gc_skew).
    pub(crate) gc_skew: &'a [f32],
    /// Its open reading frames.
    pub(crate) orfs: &'a [Orf],
}

/// Writes the plot as one SVG document, 1200 wide, that needs nothing but a sans-serif font.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write(out: &mut impl Write, plot: &Plot<'_>) -> io::Result<()> {
    let shown = longest(plot.records);
    let panel_height = if shown.len() > 1 { PANEL_HEIGHT } else { SINGLE_PANEL_HEIGHT };
    let height = HEADER_HEIGHT + panel_height * shown.len() as f64 + FOOTER_HEIGHT;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"Helvetica, Arial, sans-serif\">"
    )?;
    writeln!(out, "<title>{}: GC skew</title>", escape(plot.title))?;
    writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fdfdfb\"/>")?;
    write_header(out, plot, shown.len())?;
    for (i, track) in shown.iter().enumerate() {
        panel::write(out, track, HEADER_HEIGHT + panel_height * i as f64, panel_height)?;
    }
    writeln!(out, "</svg>")
}

fn longest<'a>(records: &[Track<'a>]) -> Vec<Track<'a>> {
    let mut order: Vec<_> = (0..records.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(records[i].sequence.len()));
    order.truncate(MAX_PANELS);
    order.sort_unstable();
    order.into_iter().map(|i| records[i]).collect()
}

fn write_header(out: &mut impl Write, plot: &Plot<'_>, shown: usize) -> io::Result<()> {
    let title = Style { size: 24.0, bold: true, ..Style::default() };
    text::write(out, LEFT, 42.0, &title, &format!("GC skew of {}", text::shorten(plot.title, 60)))?;
    let mut about = format!(
        "means over centred windows of {} bp · open reading frames of at least {} codons, ATG to stop",
        group_thousands(plot.window),
        plot.min_codons
    );
    if shown < plot.records.len() {
        about +=
            &format!(" · the {shown} longest of {} records", group_thousands(plot.records.len()));
    }
    text::write(out, LEFT, 66.0, &Style { color: MUTED, ..Style::default() }, &about)?;
    write_legend(out)
}

fn write_legend(out: &mut impl Write) -> io::Result<()> {
    let y = 90.0;
    let mut x = LEFT;
    let entries = [
        (POSITIVE, 10.0, "G over C"),
        (NEGATIVE, 10.0, "C over G"),
        (INK, 2.0, "cumulative skew (right axis)"),
        (CONTENT, 2.0, "GC content"),
        (FORWARD, 10.0, "open reading frame, + strand"),
        (REVERSE, 10.0, "open reading frame, − strand"),
    ];
    for (color, thickness, label) in entries {
        let top = y - 4.0 - thickness / 2.0;
        writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"18\" height=\"{thickness}\" fill=\"{color}\"/>"
        )?;
        let style = Style { size: 12.0, anchor: Anchor::Start, ..Style::default() };
        text::write(out, x + 24.0, y, &style, label)?;
        x += 24.0 + 6.3 * label.chars().count() as f64 + 22.0;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
