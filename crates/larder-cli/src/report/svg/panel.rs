//! One record: three tracks above each other on one axis of positions.

use std::io::{self, Write};

use super::{
    CONTENT, FORWARD, INK, LEFT, MUTED, NEGATIVE, POSITIVE, REVERSE, RIGHT, RULE, Track,
    scale::{Scale, nice_step},
    text::{self, Anchor, Style, group_thousands, shorten},
};
use crate::{
    genome::{
        orf::{Orf, Strand},
        signal,
    },
    report::{bin_means, bins},
};

/// One point per pixel of the plotting area.
const POINTS: usize = (RIGHT - LEFT) as usize;

/// The most open reading frames drawn; of more, the longest, since the rest would be hidden anyway.
const MAX_ORFS: usize = 2000;

const CAPTION_HEIGHT: f64 = 30.0;
const AXIS_HEIGHT: f64 = 48.0;
const GAP: f64 = 16.0;

/// A track from its top to its bottom, in pixels.
type Span = (f64, f64);

/// Writes the panel of one record into the given height below `top`.
pub(super) fn write(
    out: &mut impl Write,
    track: &Track<'_>,
    top: f64,
    height: f64,
) -> io::Result<()> {
    let first = top + CAPTION_HEIGHT;
    let last = top + height - AXIS_HEIGHT;
    let share = |part: f64| part * (last - first - 2.0 * GAP);
    let skew = (first, first + share(0.52));
    let content = (skew.1 + GAP, skew.1 + GAP + share(0.20));
    let orfs = (content.1 + GAP, last);

    write_caption(out, track, top + 18.0)?;
    let positions = Scale::new((0.0, track.sequence.len().max(1) as f64), (LEFT, RIGHT));
    write_position_axis(out, track.sequence.len(), first, last)?;
    write_skew(out, track, &positions, skew)?;
    write_content(out, track, &positions, content)?;
    write_orfs(out, track, &positions, orfs)
}

fn write_caption(out: &mut impl Write, track: &Track<'_>, y: f64) -> io::Result<()> {
    let gc = 100.0 * signal::gc_fraction(track.sequence);
    let length = group_thousands(track.sequence.len());
    let orfs = group_thousands(track.orfs.len());
    let style = Style { bold: true, ..Style::default() };
    text::write(out, LEFT, y, &style, &shorten(track.name, 80))?;
    let mut facts = format!("{length} bp · GC {gc:.2} % · {orfs} open reading frames");
    if track.orfs.len() > MAX_ORFS {
        facts += &format!(", the longest {} drawn", group_thousands(MAX_ORFS));
    }
    let style = Style { anchor: Anchor::End, color: MUTED, ..Style::default() };
    text::write(out, RIGHT, y, &style, &facts)
}

fn write_position_axis(
    out: &mut impl Write,
    length: usize,
    top: f64,
    bottom: f64,
) -> io::Result<()> {
    let (unit, bases) = match length {
        0..2_000 => ("bp", 1.0),
        2_000..2_000_000 => ("kb", 1e3),
        _ => ("Mb", 1e6),
    };
    let positions = Scale::new((0.0, length.max(1) as f64 / bases), (LEFT, RIGHT));
    let (ticks, decimals) = positions.ticks(12);
    for tick in ticks {
        let x = positions.at(tick);
        write_line(out, (x, top), (x, bottom + 5.0), "#edf0f2")?;
        let style = Style { size: 12.0, anchor: Anchor::Middle, ..Style::default() };
        text::write(out, x, bottom + 20.0, &style, &format!("{tick:.decimals$}"))?;
    }
    write_line(out, (LEFT, bottom), (RIGHT, bottom), RULE)?;
    let style = Style { anchor: Anchor::Middle, ..Style::default() };
    text::write(out, (LEFT + RIGHT) / 2.0, bottom + 38.0, &style, &format!("position ({unit})"))
}

fn write_skew(out: &mut impl Write, track: &Track<'_>, x: &Scale, span: Span) -> io::Result<()> {
    let (top, bottom) = span;
    let means: Vec<_> = binned(track.gc_skew, x).collect();
    let reach = reach(means.iter().map(|&(_, skew)| skew), 0.1);
    let y = Scale::new((-reach, reach), (bottom, top));
    write_left_axis(out, &y, span, "GC skew", "(G − C) / (G + C)")?;
    for (color, keep) in [(POSITIVE, f64::max as fn(f64, f64) -> f64), (NEGATIVE, f64::min)] {
        let edge = means.iter().map(|&(x, skew)| (x, y.at(keep(skew, 0.0))));
        let baseline = y.at(0.0);
        let outline = [(LEFT, baseline)].into_iter().chain(edge).chain([(RIGHT, baseline)]);
        write_path(out, outline, &format!("fill=\"{color}\" fill-opacity=\"0.8\""))?;
    }
    write_line(out, (LEFT, y.at(0.0)), (RIGHT, y.at(0.0)), MUTED)?;
    write_cumulative(out, track, x, span)
}

fn write_cumulative(
    out: &mut impl Write,
    track: &Track<'_>,
    x: &Scale,
    span: Span,
) -> io::Result<()> {
    let ends = bins(track.sequence.len(), POINTS).map(|bin| x.at(bin.end as f64));
    let walk: Vec<_> = signal::cumulative_skew(track.sequence, POINTS);
    let reach = reach(walk.iter().map(|&excess| excess as f64), 10.0);
    let y = Scale::new((-reach, reach), (span.1, span.0));
    let points = ends.zip(walk.iter().map(|&excess| y.at(excess as f64)));
    let line =
        format!("fill=\"none\" stroke=\"{INK}\" stroke-width=\"1.4\" stroke-linejoin=\"round\"");
    write_path(out, [(LEFT, y.at(0.0))].into_iter().chain(points), &line)?;
    write_right_axis(out, &y, span, "cumulative skew", "G − C (bases)")
}

fn write_content(out: &mut impl Write, track: &Track<'_>, x: &Scale, span: Span) -> io::Result<()> {
    let means: Vec<_> = binned(track.gc_content, x).collect();
    let overall = signal::gc_fraction(track.sequence);
    let reach = reach(means.iter().map(|&(_, content)| content - overall), 0.05);
    let domain = ((overall - reach).max(0.0), (overall + reach).min(1.0));
    let y = Scale::new((100.0 * domain.0, 100.0 * domain.1), (span.1, span.0));
    write_left_axis(out, &y, span, "GC content", "(%)")?;
    let mean = y.at(100.0 * overall);
    write_line(out, (LEFT, mean), (RIGHT, mean), MUTED)?;
    let style = Style { size: 11.0, color: MUTED, ..Style::default() };
    text::write(out, RIGHT + 8.0, mean + 4.0, &style, "mean")?;
    let line = format!(
        "fill=\"none\" stroke=\"{CONTENT}\" stroke-width=\"1.4\" stroke-linejoin=\"round\""
    );
    write_path(out, means.iter().map(|&(x, content)| (x, y.at(100.0 * content))), &line)
}

fn write_orfs(out: &mut impl Write, track: &Track<'_>, x: &Scale, span: Span) -> io::Result<()> {
    let row = (span.1 - span.0 - GAP / 2.0) / 6.0;
    let lanes = [
        (Strand::Forward, "+", span.0, FORWARD),
        (Strand::Reverse, "−", span.1 - 3.0 * row, REVERSE),
    ];
    let mut longest = track.orfs.to_vec();
    longest.sort_by_key(|orf| std::cmp::Reverse(orf.codons()));
    for (strand, sign, top, color) in lanes {
        let style = Style { size: 18.0, anchor: Anchor::End, ..Style::default() };
        text::write(out, LEFT - 10.0, top + 1.5 * row + 6.0, &style, sign)?;
        for frame in 0..=3 {
            let y = top + row * f64::from(frame);
            write_line(out, (LEFT, y), (RIGHT, y), "#edf0f2")?;
        }
        for orf in longest.iter().take(MAX_ORFS).filter(|orf| orf.strand == strand) {
            let middle = top + row * (f64::from(orf.frame) - 0.5);
            write_arrow(out, orf, x, (middle, row * 0.4), color)?;
        }
    }
    let middle = (span.0 + span.1) / 2.0;
    write_axis_title(out, LEFT - 64.0, middle, "reading frames", "")
}

/// A block that points in the direction of translation.
fn write_arrow(
    out: &mut impl Write,
    orf: &Orf,
    x: &Scale,
    (middle, half): (f64, f64),
    color: &str,
) -> io::Result<()> {
    let (start, end) = (x.at(orf.start as f64), x.at(orf.end as f64));
    let (tail, tip) = match orf.strand {
        Strand::Forward => (start, end),
        Strand::Reverse => (end, start),
    };
    let neck = tip - (tip - tail).signum() * (tip - tail).abs().min(6.0);
    let outline = [
        (tail, middle - half),
        (neck, middle - half),
        (tip, middle),
        (neck, middle + half),
        (tail, middle + half),
    ];
    write_path(out, outline.into_iter(), &format!("fill=\"{color}\""))
}

/// The mean of each bin of a signal at the middle of the bin.
fn binned(signal: &[f32], x: &Scale) -> impl Iterator<Item = (f64, f64)> {
    let middle = |start: usize, end: usize| x.at((start + end) as f64 / 2.0);
    bin_means(signal, POINTS).map(move |(bin, mean)| (middle(bin.start, bin.end), f64::from(mean)))
}

/// A round number that no value exceeds in size, at least `least`.
fn reach(values: impl Iterator<Item = f64>, least: f64) -> f64 {
    let largest = values.map(f64::abs).fold(least, f64::max);
    let step = nice_step(largest / 5.0);
    (largest / step - 1e-9).ceil() * step
}

fn write_left_axis(
    out: &mut impl Write,
    y: &Scale,
    span: Span,
    title: &str,
    unit: &str,
) -> io::Result<()> {
    write_line(out, (LEFT, span.0), (LEFT, span.1), RULE)?;
    write_ticks(out, y, span, (LEFT, -5.0))?;
    write_axis_title(out, LEFT - 64.0, (span.0 + span.1) / 2.0, title, unit)
}

fn write_right_axis(
    out: &mut impl Write,
    y: &Scale,
    span: Span,
    title: &str,
    unit: &str,
) -> io::Result<()> {
    write_line(out, (RIGHT, span.0), (RIGHT, span.1), RULE)?;
    write_ticks(out, y, span, (RIGHT, 5.0))?;
    write_axis_title(out, RIGHT + 62.0, (span.0 + span.1) / 2.0, title, unit)
}

/// Ticks outwards from the axis at `x`, one about every 40 pixels.
fn write_ticks(
    out: &mut impl Write,
    y: &Scale,
    span: Span,
    (x, outward): (f64, f64),
) -> io::Result<()> {
    let count = ((span.1 - span.0) / 40.0).max(2.0) as usize;
    let (ticks, decimals) = y.ticks(count);
    let anchor = if outward < 0.0 { Anchor::End } else { Anchor::Start };
    for tick in ticks {
        write_line(out, (x, y.at(tick)), (x + outward, y.at(tick)), RULE)?;
        let style = Style { size: 12.0, anchor, ..Style::default() };
        let label = format!("{tick:.decimals$}").replace('-', "−");
        text::write(out, x + 1.8 * outward, y.at(tick) + 4.0, &style, &label)?;
    }
    Ok(())
}

fn write_axis_title(
    out: &mut impl Write,
    x: f64,
    y: f64,
    title: &str,
    unit: &str,
) -> io::Result<()> {
    let style = Style { anchor: Anchor::Middle, upwards: true, ..Style::default() };
    text::write(out, x, y, &style, title)?;
    let style = Style { size: 11.0, color: MUTED, ..style };
    text::write(out, x + 15.0, y, &style, unit)
}

fn write_line(
    out: &mut impl Write,
    from: (f64, f64),
    to: (f64, f64),
    color: &str,
) -> io::Result<()> {
    let ((x1, y1), (x2, y2)) = (from, to);
    writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{color}\"/>"
    )
}

fn write_path(
    out: &mut impl Write,
    points: impl Iterator<Item = (f64, f64)>,
    attributes: &str,
) -> io::Result<()> {
    write!(out, "<path {attributes} d=\"")?;
    for (i, (x, y)) in points.enumerate() {
        write!(out, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" })?;
    }
    writeln!(out, "\"/>")
}
