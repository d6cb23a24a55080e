//! `status`, `verify` and `repair` of one namespace, or of all.

use std::path::PathBuf;

use larder::storage::Result;
use serde_json::json;

use super::place::Place;
use crate::{
    args::{AnyCache, Look},
    commands::look::{self, Store},
};

/// Looks at the cache that is named, or at all under the root, and prints what it finds.
///
/// # Errors
/// `NotFound` where it is not there; `Corrupt` where something is wrong, after it was printed.
pub(super) fn run(
    root: &dyn Fn() -> Result<PathBuf>,
    cache: AnyCache,
    what: Look,
    json: bool,
) -> Result<()> {
    let Some(namespace) = cache.namespace else {
        return look::run(&root()?, &[Store::Kv], what, json);
    };
    let place = Place::new(root, namespace, cache.document)?;
    if !place.is_document() || matches!(what, Look::Repair) {
        place.check()?;
    }
    let found = match what {
        Look::Status => place.existing().and_then(|cache| look::value(&cache.status()?)),
        Look::Verify => place.existing().and_then(|cache| look::value(&cache.verify()?)),
        Look::Repair => place.repair().map(|moved| json!({ "moved": Vec::from_iter(moved) })),
    };
    let help = if place.is_document() {
        "`set` or `rm` the entries that are named; `larder kv repair` puts a damaged document aside"
    } else {
        look::HELP
    };
    look::show_namespace(&place.dir(), &place.namespace, found, what, json, help)
}
