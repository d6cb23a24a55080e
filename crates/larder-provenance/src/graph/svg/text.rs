//! Words in a drawing, whose fonts nobody can know.

use std::fmt::Write;

use crate::graph::printable;

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Font {
    /// Its height in pixels.
    pub(super) size: f64,
    pub(super) is_bold: bool,
    pub(super) color: &'static str,
}

impl Font {
    /// What the text takes at most, in pixels, in the sans-serif fonts that are widely used.
    pub(super) fn width(self, text: &str) -> f64 {
        printable(text).map(|character| self.advance(character)).sum()
    }

    fn advance(self, character: char) -> f64 {
        self.size * advance(character) * if self.is_bold { 1.12 } else { 1.0 }
    }

    /// Writes one line at `(x, y)`, the baseline, of which `anchor` says which end it is.
    pub(super) fn write(self, svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
        let Self { size, is_bold, color } = self;
        let weight = if is_bold { " font-weight=\"bold\"" } else { "" };
        let anchor =
            if anchor == "start" { String::new() } else { format!(" text-anchor=\"{anchor}\"") };
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{color}\"{anchor}{weight}>{}</text>",
            escape(text)
        );
    }
}

/// The width of a character as a part of the height: that of DejaVu Sans, one of the widest fonts.
fn advance(character: char) -> f64 {
    match character {
        'f' | 'i' | 'j' | 'l' | 'r' | 't' | 'I' | ' ' | '!' | '\'' | '(' | ')' | ',' | '-'
        | '.' | '/' | ':' | ';' | '[' | ']' | '|' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' => 1.0,
        'A'..='Z' | '#' | '+' | '<' | '=' | '>' | '^' | '~' | '&' => 0.84,
        '\0'..='\x7f' => 0.64,
        '\u{80}'..='\u{10ff}' => 0.85,
        '\u{1100}'..='\u{ffff}' => 1.03,
        _ => 1.4,
    }
}

/// The text, or as much of it as takes no more than `most` pixels with an ellipsis.
pub(super) fn fit(text: &str, font: Font, most: f64) -> String {
    if font.width(text) <= most {
        return text.to_owned();
    }
    let mut width = font.advance('…');
    let fits = |character: &char| {
        width += font.advance(*character);
        width <= most
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// Text as XML content or attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text) {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const FONT: Font = Font { size: 10.0, is_bold: false, color: "#000000" };

    #[test]
    fn long_texts_end_with_an_ellipsis_and_fit() {
        for text in ["", "track", &"W".repeat(500), &"ACGT".repeat(10), "染色体染色体染色体染色体"]
        {
            let fitted = fit(text, FONT, 90.0);
            assert!(FONT.width(&fitted) <= 90.0, "{fitted}");
            assert!(fitted == text || fitted.ends_with('…') && FONT.width(text) > 90.0);
            assert!(fitted.chars().count() >= text.chars().count().min(8), "{fitted}");
        }
    }

    #[test]
    fn markup_and_what_xml_lacks_are_no_danger() {
        assert_eq!(
            escape("a<b>&\"c\"\u{1}\n\u{ffff}"),
            "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}\u{fffd}\u{fffd}"
        );
    }
}
