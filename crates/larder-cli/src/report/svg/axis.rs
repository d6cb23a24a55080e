//! Axes, lines and outlines: what every track is drawn with.

use std::io::{self, Write};

use super::{
    LEFT, MUTED, RIGHT, RULE, Span,
    scale::Scale,
    text::{self, Anchor, Style},
};

/// Writes the axis of values on the left: line, ticks, title and unit.
pub(super) fn write_left_axis(
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

/// Writes the axis of values on the right.
pub(super) fn write_right_axis(
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

/// Ticks outwards from the axis at `x`, one about every 25 pixels.
fn write_ticks(
    out: &mut impl Write,
    y: &Scale,
    span: Span,
    (x, outward): (f64, f64),
) -> io::Result<()> {
    let count = ((span.1 - span.0) / 25.0).clamp(3.0, 8.0) as usize;
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

/// Writes a title that reads upwards, centred at `y`, and its unit beside it.
pub(super) fn write_axis_title(
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

/// Writes a thin straight line.
pub(super) fn write_line(
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

/// Writes an outline or a line through points; `attributes` say how it is filled or stroked.
pub(super) fn write_path(
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
