//! What is taken out, one at a time: of `larder-storage` each flush, each rename, each lock, each condition that stands
//! for a lock where there is none; of `larder-lazy-array`, `larder-embedding-shards` and `larder-dir-cache` the checks, locks
//! and leases of their own.

use super::Mutant;

mod arrays;
mod dirs;
mod flight;
mod local;
mod object;
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
    ]
    .into_iter()
    .flatten()
}

/// Where the snippet of a mutant lies, from the root of the workspace.
pub(super) fn path(mutant: &Mutant) -> String {
    format!("crates/{}", mutant.file)
}
