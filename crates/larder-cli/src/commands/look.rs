//! `status` and `verify`, of one store or of all.

use std::path::Path;

use larder::{
    Larder, Options,
    storage::{Error, ErrorKind, Result},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{args::Look, output};

/// A store, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Kv,
    Array,
    Shards,
    Dirs,
    Provenance,
}

impl Store {
    pub(crate) const ALL: [Self; 5] =
        [Self::Kv, Self::Array, Self::Shards, Self::Dirs, Self::Provenance];

    fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Array => "array",
            Self::Shards => "shards",
            Self::Dirs => "dirs",
            Self::Provenance => "provenance",
        }
    }

    fn status(self, larder: &Larder) -> Result<Value> {
        match self {
            Self::Kv => each_namespace(larder, |cache| value(&cache.status()?)),
            Self::Array => value(&larder.arrays().status()?),
            Self::Shards => value(&larder.shards().status()?),
            Self::Dirs => value(&larder.dirs().status()?),
            Self::Provenance => value(&larder.tracks().store().status()?),
        }
    }

    fn verify(self, larder: &Larder) -> Result<Value> {
        match self {
            Self::Kv => each_namespace(larder, |cache| value(&cache.verify()?)),
            Self::Array => value(&larder.arrays().verify()?),
            Self::Shards => value(&larder.shards().verify()?),
            Self::Dirs => value(&larder.dirs().verify()?),
            Self::Provenance => value(&larder.tracks().store().verify()?),
        }
    }
}

/// Looks at `stores` under `root`, which has to be there, and prints what it finds.
///
/// # Errors
/// `NotFound` where there is no root; `Corrupt` where `verify` found something wrong, after it was printed; those of
/// the stores.
pub(crate) fn run(root: &Path, stores: &[Store], what: Look, json: bool) -> Result<()> {
    let dirs = larder::dir_cache::Options::default().background(false);
    let larder = Larder::open_existing(root, Options::default().dirs(dirs))?;
    let mut found = Map::new();
    for store in stores {
        let report = match what {
            Look::Status => store.status(&larder)?,
            Look::Verify => store.verify(&larder)?,
        };
        found.insert(store.name().to_owned(), report);
    }
    let problems = problems(&found);
    if json {
        output::json(&document(&larder, stores, what, found, &problems))?;
    } else {
        output::print(&text(&found, what, &problems))?;
    }
    match problems.len() {
        0 => Ok(()),
        count => Err(Error::new(ErrorKind::Corrupt, format!("{count} problems were found"))
            .at_path(larder.root())),
    }
}

/// One store's report as it is; those of all under their names.
fn document(
    larder: &Larder,
    stores: &[Store],
    what: Look,
    mut found: Map<String, Value>,
    problems: &[Value],
) -> Value {
    if let [store] = stores {
        return found.remove(store.name()).unwrap_or_default();
    }
    match what {
        Look::Status => {
            json!({ "root": larder.root(), "clean": is_clean(&found), "stores": found })
        }
        Look::Verify => json!({ "root": larder.root(), "problems": problems, "stores": found }),
    }
}

fn each_namespace(
    larder: &Larder,
    look: impl Fn(&larder::kv_cache::KvCache) -> Result<Value>,
) -> Result<Value> {
    let mut namespaces = Map::new();
    for namespace in larder.kv_namespaces()? {
        let report = look(&larder.kv(&namespace)?)?;
        namespaces.insert(namespace, report);
    }
    Ok(json!({ "namespaces": namespaces }))
}

fn value(report: &impl Serialize) -> Result<Value> {
    serde_json::to_value(report).map_err(|error| {
        Error::new(ErrorKind::Invalid, "a report cannot be written as JSON").with_source(error)
    })
}

/// Whether no store has work that a killed process left unfinished.
fn is_clean(found: &Map<String, Value>) -> bool {
    found["dirs"]["unfinished"] == 0
}

/// What the reports list under `problems`, each with the name of its store.
fn problems(found: &Map<String, Value>) -> Vec<Value> {
    let mut problems = Vec::new();
    for (store, report) in found {
        let reports =
            report["namespaces"].as_object().map_or(vec![report], |all| all.values().collect());
        let lists = reports.into_iter().filter_map(|report| report["problems"].as_array());
        for problem in lists.flatten() {
            problems.push(
                json!({ "store": store, "place": problem["place"], "what": problem["what"] }),
            );
        }
    }
    problems
}

fn text(found: &Map<String, Value>, what: Look, problems: &[Value]) -> String {
    let mut text = String::new();
    for (store, report) in found {
        text.push_str(store);
        text.push('\n');
        push_figures(&mut text, report, 1);
    }
    if matches!(what, Look::Verify) {
        for problem in problems {
            let line = [&problem["store"], &problem["place"], &problem["what"]]
                .map(|part| part.as_str().unwrap_or("-"));
            text.push_str(&format!("problem  {}\n", line.join(": ")));
        }
        text.push_str(if problems.is_empty() { "No problem was found.\n" } else { "" });
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
            figure => text.push_str(&format!("{indent}{name:width$}  {}\n", shown(name, figure))),
        }
    }
}

fn shown(name: &str, figure: &Value) -> String {
    match figure {
        Value::Number(number) => match number.as_u64() {
            Some(u64::MAX) => "no limit".to_owned(),
            Some(count)
                if ["bytes", "size", "limit", "overage", "evict_above"]
                    .iter()
                    .any(|it| name.contains(it)) =>
            {
                output::bytes(count)
            }
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
