//! One record: three tracks above each other on one axis of positions.

use std::io::{self, Write};

use super::{
    CONTENT, FORWARD, GRID, INK, LEFT, MUTED, NEGATIVE, POSITIVE, REVERSE, RIGHT, RULE, Span,
    Track,
    axis::{write_axis_title, write_left_axis, write_line, write_path, write_right_axis},
    scale::{Scale, round_bounds, round_reach},
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
        write_line(out, (x, top), (x, bottom + 5.0), GRID)?;
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
    let reach = round_reach(means.iter().map(|&(_, skew)| skew), 0.1);
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
    let reach = round_reach(walk.iter().map(|&excess| excess as f64), 10.0);
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
    let (low, high) = round_bounds(means.iter().map(|&(_, content)| content), overall, 0.05);
    let y = Scale::new((100.0 * low.max(0.0), 100.0 * high.min(1.0)), (span.1, span.0));
    write_left_axis(out, &y, span, "GC content", "(%)")?;
    let mean = y.at(100.0 * overall);
    write_line(out, (LEFT, mean), (RIGHT, mean), MUTED)?;
    let style = Style { size: 11.0, color: MUTED, ..Style::default() };
    text::write(out, RIGHT + 8.0, mean + 4.0, &style, "mean")?;
    let line = curve(CONTENT);
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
            write_line(out, (LEFT, y), (RIGHT, y), GRID)?;
        }
        for orf in longest.iter().take(MAX_ORFS).filter(|orf| orf.strand == strand) {
            let middle = top + row * (f64::from(orf.frame) - 0.5);
            write_arrow(out, orf, x, (middle, row * 0.4), color)?;
        }
    }
    let middle = (span.0 + span.1) / 2.0;
    write_axis_title(out, LEFT - 64.0, middle, "reading frames", "1, 2, 3 per strand")
}

/// The attributes of a path that is a thin curve.
fn curve(color: &str) -> String {
    format!("fill=\"none\" stroke=\"{color}\" stroke-width=\"1.4\" stroke-linejoin=\"round\"")
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
