//! What is taken out of `larder-storage`, one at a time: each flush, each rename, each lock,
//! each condition that stands for a lock where there is none.

use super::Mutant;

mod flight;
mod local;
mod object;

const STORAGE: &str = "crates/larder-storage/src/";

/// In the order of the files. A snippet names its place alone, so it has to occur there exactly once.
pub(super) fn all() -> impl Iterator<Item = &'static Mutant> {
    [local::MUTANTS, flight::MUTANTS, object::MUTANTS].into_iter().flatten()
}

/// Where the snippet of a mutant lies, from the root of the workspace.
pub(super) fn path(mutant: &Mutant) -> String {
    format!("{STORAGE}{}", mutant.file)
}
