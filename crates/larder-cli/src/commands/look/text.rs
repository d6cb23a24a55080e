//! Reports for people.

use serde_json::{Map, Value};

use crate::{args::Look, output};

/// The figures of each store, then what is wrong.
pub(super) fn render(found: &Map<String, Value>, problems: &[Value], what: Look) -> String {
    let mut text = String::new();
    for (store, report) in found {
        text.push_str(store);
        text.push('\n');
        push_figures(&mut text, report, 1);
    }
    for problem in problems {
        let parts = ["store", "place", "what"].map(|part| problem[part].as_str().unwrap_or("-"));
        text.push_str(&format!("problem  {}\n", output::one_line(&parts.join(": "))));
    }
    if problems.is_empty() && matches!(what, Look::Verify) {
        text.push_str("No problem was found.\n");
    }
    text
}

/// Figures as aligned lines; nested ones below, indented.
fn push_figures(text: &mut String, report: &Value, depth: usize) {
    let Some(figures) = report.as_object() else { return };
    let width = figures.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, figure) in figures.iter().filter(|(name, _)| *name != "problems") {
        let indent = "  ".repeat(depth);
        match figure {
            Value::Object(_) => {
                text.push_str(&format!("{indent}{name}\n"));
                push_figures(text, figure, depth + 1);
            }
            figure => {
                text.push_str(&format!("{indent}{name:width$}  {}\n", shown(name, figure)));
            }
        }
    }
}

fn shown(name: &str, figure: &Value) -> String {
    match figure {
        Value::Number(number) => match number.as_u64() {
            Some(u64::MAX) => "no limit".to_owned(),
            Some(count) if is_bytes(name) => output::bytes(count),
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        other => other.to_string(),
    }
}

fn is_bytes(figure: &str) -> bool {
    const OTHERS: [&str; 8] =
        ["size", "overage", "evict_above", "limit", "used", "budget_limit", "resident", "peak"];
    figure.ends_with("bytes") || OTHERS.contains(&figure)
}
