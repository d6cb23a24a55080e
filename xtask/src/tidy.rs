//! The rules of the workspace that no compiler checks. Each check takes what it looks at and gives the problems it found.

mod closures;
mod files;
mod formats;
mod layers;
mod links;
mod manifests;
mod sources;

use std::fmt;

use crate::run::Result;
use crate::workspace::Workspace;

/// A broken rule. Prints as one line: where, what, and what to do.
#[derive(Debug)]
struct Problem {
    place: String,
    what: String,
    fix: String,
}

impl Problem {
    fn new(place: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.fix)
    }
}

/// Runs every check and prints each problem; whether there is none.
pub(crate) fn tidy(workspace: &Workspace) -> Result<bool> {
    let files = files::read(&workspace.root)?;
    let problems: Vec<Problem> = [
        layers::check(workspace),
        closures::check(workspace),
        manifests::check(workspace, &files),
        sources::check(&files),
        formats::check(&files),
        links::check(&files, |path| workspace.root.join(path).exists()),
    ]
    .into_iter()
    .flatten()
    .collect();
    problems.iter().for_each(|problem| println!("tidy: {problem}"));
    Ok(problems.is_empty())
}
