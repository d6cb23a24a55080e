//! What is taken out, one at a time: of `larder-storage` each flush, each rename, each lock, each condition that stands
//! for a lock where there is none; of `larder-lazy-array`, `larder-embedding-shards`, `larder-dir-cache` and
//! `larder-provenance` the checks, locks and leases of their own.

use super::{Mutant, Suite};

mod arrays;
mod dirs;
mod flight;
mod local;
mod object;
mod provenance;
mod shards;

/// In the order of the files. A snippet names its place alone, so it has to occur there exactly once.
pub(super) fn all() -> impl Iterator<Item = &'static Mutant> {
    [
        local::MUTANTS,
        flight::MUTANTS,
        object::MUTANTS,
        arrays::MUTANTS,
        shards::MUTANTS,
        dirs::MUTANTS,
        provenance::MUTANTS,
    ]
    .into_iter()
    .flatten()
}

/// One without which every test ends.
const fn mutant(
    first: Suite,
    name: &'static str,
    file: &'static str,
    snippet: &'static str,
    replacement: &'static str,
) -> Mutant {
    Mutant { name, file, first, snippet, replacement, hangs: false }
}

/// Where the snippet of a mutant lies, from the root of the workspace.
pub(super) fn path(mutant: &Mutant) -> String {
    format!("crates/{}", mutant.file)
}
