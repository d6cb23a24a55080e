//! A chart of ratios to the floor: horizontal bars from 1 on, on a logarithmic scale.

use std::fmt::Write;

use crate::{
    report::told,
    rounds::{Row, Table, Unit},
};

const WIDTH: f64 = 860.0;
/// Where the names end and the scale begins.
const LEFT: f64 = 230.0;
/// Where the scale ends; the labels of the longest bars go on.
const RIGHT: f64 = 690.0;
const BAR: f64 = 19.0;
const TITLE: f64 = 32.0;
const TOP: f64 = 48.0;
/// The powers of ten whose ticks are drawn, where the scale holds them.
const DECADES: std::ops::Range<i32> = -3..7;

/// The chart as SVG.
pub(crate) fn draw(tables: &[Table]) -> String {
    let bars: usize = tables.iter().map(|table| table.rows.len()).sum();
    let height = TOP + TITLE * tables.len() as f64 + BAR * bars as f64 + 16.0;
    let scale = Scale::over(tables.iter().flat_map(|table| &table.rows).map(|row| row.of_floor));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" fill=\"#57606a\">as a multiple of the floor (logarithmic)</text>\n"
    );
    for tick in scale.ticks() {
        let (x, colour) = (scale.x(tick), if tick == 1.0 { "#57606a" } else { "#d8dee4" });
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"38\" text-anchor=\"middle\" fill=\"#57606a\">{tick}</text>\
             <line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
            height - 10.0
        );
    }
    let mut y = TOP;
    for table in tables {
        y += TITLE;
        // Titles may be longer than the names: a white edge keeps the lines of the scale out of them.
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"{:.1}\" font-weight=\"bold\" fill=\"#1f2328\" stroke=\"#ffffff\" \
             stroke-width=\"5\" paint-order=\"stroke\">{}</text>",
            y - 8.0,
            escape(&table.title)
        );
        for row in &table.rows {
            draw_row(&mut svg, row, table.unit, y, &scale);
            y += BAR;
        }
    }
    svg + "</svg>\n"
}

fn draw_row(svg: &mut String, row: &Row, unit: Unit, y: f64, scale: &Scale) {
    let (from, to) = (scale.x(row.of_floor.min(1.0)), scale.x(row.of_floor.max(1.0)));
    let colour = if row.name.starts_with("Larder") { "#0969da" } else { "#afb8c1" };
    let middle = y + BAR / 2.0 + 4.0;
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\" fill=\"#1f2328\">{}</text>\
         <rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{middle:.1}\" fill=\"#57606a\">{:.2} ({})</text>",
        LEFT - 10.0,
        escape(&row.name),
        y + 2.0,
        (to - from).max(1.5),
        BAR - 4.0,
        to + 6.0,
        row.of_floor,
        told(unit, row.value)
    );
}

/// Maps ratios to horizontal positions.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// Holds 1, 2 and all of `ratios`.
    fn over(ratios: impl Iterator<Item = f64>) -> Self {
        ratios.fold(Self { low: 1.0, high: 2.0 }, |scale, ratio| Self {
            low: scale.low.min(ratio),
            high: scale.high.max(ratio),
        })
    }

    /// 1, 2 and 5 of each decade, or 1 alone where the scale is long.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high / self.low < 1000.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks =
            DECADES.flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
        ticks.filter(|tick| self.holds(*tick)).collect()
    }

    fn holds(&self, ratio: f64) -> bool {
        (self.low..=self.high).contains(&ratio)
    }

    fn x(&self, ratio: f64) -> f64 {
        let (low, high) = (self.low.ln(), self.high.ln());
        LEFT + (RIGHT - LEFT) * (ratio.ln() - low) / (high - low)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_fill_the_scale() {
        let scale = Scale::over([0.5, 8.0].into_iter());
        assert_eq!(scale.x(0.5), LEFT);
        assert_eq!(scale.x(8.0), RIGHT);
        assert_eq!(scale.x(2.0), f64::midpoint(LEFT, RIGHT));
        assert_eq!(scale.ticks(), [0.5, 1.0, 2.0, 5.0]);
        assert_eq!(
            Scale::over([0.03, 5000.0].into_iter()).ticks(),
            [0.1, 1.0, 10.0, 100.0, 1000.0]
        );
    }

    #[test]
    fn names_are_text_in_the_chart() {
        let row = Row { name: "a<b".into(), value: 1e-6, of_floor: 1.0 };
        let (title, unit) = ("x & y".into(), Unit::Seconds);
        let svg = draw(&[Table { title, unit, rounds: 1, things: 1, rows: vec![row] }]);
        assert!(svg.contains("a&lt;b") && svg.contains("x &amp; y") && !svg.contains("a<b"));
    }
}
