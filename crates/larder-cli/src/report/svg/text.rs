//! Words and numbers in SVG.

use std::io::{self, Write};

use super::INK;

/// Which point of a text its position names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Height of the font in pixels.
    pub(super) size: f64,
    /// The colour of the letters.
    pub(super) color: &'static str,
    /// Which point of the text its position names.
    pub(super) anchor: Anchor,
    /// Whether the font is bold.
    pub(super) bold: bool,
    /// Whether the text reads from bottom to top.
    pub(super) upwards: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { size: 13.0, color: INK, anchor: Anchor::Start, bold: false, upwards: false }
    }
}

/// Writes one line of text at `(x, y)`, the baseline.
pub(super) fn write(
    out: &mut impl Write,
    x: f64,
    y: f64,
    style: &Style,
    content: &str,
) -> io::Result<()> {
    let anchor = match style.anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let weight = if style.bold { " font-weight=\"bold\"" } else { "" };
    let turn = if style.upwards {
        format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"")
    } else {
        String::new()
    };
    writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{}\" fill=\"{}\" text-anchor=\"{anchor}\"{weight}{turn}>{}</text>",
        style.size,
        style.color,
        escape(content)
    )
}

/// Text as XML content or attribute; characters that XML does not allow become U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// At most `limit` characters of a name, the last one an ellipsis if some are left out.
pub(super) fn shorten(name: &str, limit: usize) -> String {
    if name.chars().count() <= limit {
        return name.to_owned();
    }
    name.chars().take(limit - 1).chain(['…']).collect()
}

/// A number with a comma between each three digits: `48,502`.
pub(super) fn group_thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escape("a<b> & \"c\"\u{1}"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}");
    }

    #[test]
    fn names_are_shortened_by_characters() {
        assert_eq!(shorten("phage", 5), "phage");
        assert_eq!(shorten("éphage", 5), "épha…");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 48_502, 1_234_567].map(group_thousands),
            ["0", "999", "1,000", "48,502", "1,234,567"]
        );
    }
}
