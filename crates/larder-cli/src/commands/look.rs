//! `status`, `verify` and `repair`, of one store or of all.

use std::path::{Path, PathBuf};

use larder::{
    Larder,
    dir_cache::DirCache,
    embedding_shards::EmbeddingCache,
    kv_cache::{self, KvCache},
    layout,
    lazy_array::{self, ArrayStore},
    provenance::{self, ProvenanceStore},
    storage::{Error, ErrorKind, Problem, Result},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::shards;
use crate::{args::Look, output};

mod text;

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

    fn dir(self, root: &Path) -> PathBuf {
        root.join(match self {
            Self::Kv => layout::KV,
            Self::Array => layout::ARRAYS,
            Self::Shards => layout::SHARDS,
            Self::Dirs => layout::DIRS,
            Self::Provenance => layout::PROVENANCE,
        })
    }

    fn look(self, dir: &Path, what: Look) -> Result<Value> {
        match what {
            Look::Status => self.status(dir),
            Look::Verify => self.verify(dir),
            Look::Repair => self.repair(dir),
        }
    }

    fn status(self, dir: &Path) -> Result<Value> {
        match self {
            Self::Kv => each_namespace(dir, |cache| value(&cache.status()?)),
            Self::Array => value(&arrays(dir)?.status()?),
            Self::Shards => value(&shards::open(dir)?.status()?),
            Self::Dirs => value(&dirs(dir)?.status()?),
            Self::Provenance => value(&records(dir)?.status()?),
        }
    }

    fn verify(self, dir: &Path) -> Result<Value> {
        match self {
            Self::Kv => each_namespace(dir, |cache| value(&cache.verify()?)),
            Self::Array => value(&arrays(dir)?.verify()?),
            Self::Shards => value(&shards::open(dir)?.verify()?),
            Self::Dirs => value(&dirs(dir)?.verify()?),
            Self::Provenance => value(&records(dir)?.verify()?),
        }
    }

    /// Moves what is damaged aside, and makes anew what can be derived.
    fn repair(self, dir: &Path) -> Result<Value> {
        match self {
            Self::Kv => {
                let repair = |namespace: &String| KvCache::repair(dir, namespace);
                let moved =
                    KvCache::namespaces(dir)?.iter().map(repair).collect::<Result<Vec<_>>>()?;
                Ok(json!({ "moved": moved.into_iter().flatten().collect::<Vec<_>>() }))
            }
            Self::Array => Ok(json!({ "moved": arrays(dir)?.repair()? })),
            Self::Shards => {
                let index = EmbeddingCache::repair_index(dir)?;
                let report = shards::open(dir)?.repair()?;
                let problems = report.reindex.problems;
                Ok(json!({ "moved": moved(index, report.quarantined), "problems": problems }))
            }
            Self::Dirs => Ok(json!({ "moved": Vec::from_iter(DirCache::repair(dir)?) })),
            Self::Provenance => {
                let index = provenance::repair_index(dir)?;
                let report = records(dir)?.repair()?;
                Ok(json!({
                    "moved": moved(index, report.quarantined),
                    "restored": report.restored,
                    "problems": report.reindexed.problems,
                }))
            }
        }
    }
}

/// What a repair moved: an index, and objects.
fn moved(index: Option<PathBuf>, objects: Vec<String>) -> Vec<String> {
    index.map(|path| path.display().to_string()).into_iter().chain(objects).collect()
}

fn arrays(dir: &Path) -> Result<ArrayStore> {
    ArrayStore::open(dir, lazy_array::Options::default())
}

fn dirs(dir: &Path) -> Result<DirCache> {
    DirCache::open_existing(dir)
}

fn records(dir: &Path) -> Result<ProvenanceStore<Vec<u8>>> {
    ProvenanceStore::open(dir, provenance::Options::default())
}

/// What helps where a database is damaged.
pub(crate) const HELP: &str = "`larder repair` moves what is damaged aside";

/// Refuses a root that is not there.
///
/// # Errors
/// `NotFound` where it is not; else as [`Larder::is_root`].
pub(crate) fn check_root(root: &Path) -> Result<()> {
    if Larder::is_root(root)? {
        return Ok(());
    }
    let message = "there is no Larder root here: name the directory of one";
    Err(Error::new(ErrorKind::NotFound, message).at_path(root))
}

/// Looks at `stores` under `root`, which has to be there, and prints what it finds. A store that cannot be opened
/// hides no other one.
///
/// # Errors
/// `NotFound` where there is no root; `Corrupt` where something is wrong, after it was printed.
pub(crate) fn run(root: &Path, stores: &[Store], what: Look, json: bool) -> Result<()> {
    check_root(root)?;
    let mut found = Map::new();
    for store in stores {
        let report = store.look(&store.dir(root), what).unwrap_or_else(failed);
        found.insert(store.name().to_owned(), report);
    }
    conclude(show(root, stores, what, found, json)?, root, HELP)
}

/// As [`run`], for one store in a directory of its own; `help` says what to do about problems.
///
/// # Errors
/// As [`run`]; `NotFound` where there is no such store.
pub(super) fn run_in(dir: &Path, store: Store, what: Look, help: &str, json: bool) -> Result<()> {
    let report = match store.look(dir, what) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
        report => report.unwrap_or_else(failed),
    };
    let found = Map::from_iter([(store.name().to_owned(), report)]);
    conclude(show(dir, &[store], what, found, json)?, dir, help)
}

/// Prints what was found; returns how many problems there are.
fn show(
    place: &Path,
    stores: &[Store],
    what: Look,
    found: Map<String, Value>,
    json: bool,
) -> Result<usize> {
    let problems = problems(&found);
    if json {
        output::json(&document(place, stores, what, found, &problems))?;
    } else {
        output::print(&text::render(&found, &problems, what))?;
    }
    Ok(problems.len())
}

/// Prints what was found of one namespace of the lookup cache, in `dir`; `help` says what to do about problems.
///
/// # Errors
/// `NotFound` where it is not there; `Corrupt` where something is wrong, after it was printed.
pub(crate) fn show_namespace(
    dir: &Path,
    namespace: &str,
    found: Result<Value>,
    what: Look,
    json: bool,
    help: &str,
) -> Result<()> {
    let report = match found {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
        found => found.unwrap_or_else(failed),
    };
    let found = Map::from_iter([(
        Store::Kv.name().to_owned(),
        json!({ "namespaces": { namespace: &report } }),
    )]);
    let problems = problems(&found);
    if json {
        output::json(&report)?;
    } else {
        output::print(&text::render(&found, &problems, what))?;
    }
    conclude(problems.len(), dir, help)
}

/// Fails where there were problems, which were printed.
pub(super) fn conclude(problems: usize, place: &Path, help: &str) -> Result<()> {
    if problems == 0 {
        return Ok(());
    }
    let message = format!("problems found: {problems}; {help}");
    Err(Error::new(ErrorKind::Corrupt, message).at_path(place))
}

/// What stands for the report of a part that could not be looked at.
fn failed(error: Error) -> Value {
    let path = error.path().map(|path| path.display().to_string());
    let place = path.or_else(|| error.key().map(ToString::to_string)).unwrap_or_default();
    let what = error.chain().to_string();
    let what = what.strip_prefix(&format!("{place}: ")).unwrap_or(&what);
    json!({ "problems": [Problem::new(place, what)] })
}

/// One store's report as it is; those of all under their names.
fn document(
    root: &Path,
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
            json!({ "root": root, "clean": is_clean(&found, problems), "stores": found })
        }
        Look::Verify | Look::Repair => {
            json!({ "root": root, "problems": problems, "stores": found })
        }
    }
}

fn each_namespace(dir: &Path, look: impl Fn(&KvCache) -> Result<Value>) -> Result<Value> {
    let mut namespaces = Map::new();
    for namespace in KvCache::namespaces(dir)? {
        let cache = KvCache::open(dir, &namespace, kv_cache::Options::default());
        let report = cache.and_then(|cache| look(&cache)).unwrap_or_else(failed);
        namespaces.insert(namespace, report);
    }
    Ok(json!({ "namespaces": namespaces }))
}

pub(crate) fn value(report: &impl Serialize) -> Result<Value> {
    serde_json::to_value(report).map_err(|error| {
        Error::new(ErrorKind::Invalid, "a report cannot be written as JSON").with_source(error)
    })
}

/// Whether every store could be looked at, and none has work that a killed process left unfinished.
fn is_clean(found: &Map<String, Value>, problems: &[Value]) -> bool {
    let none = |store: &str, figure: &str| found[store][figure] == 0;
    problems.is_empty()
        && none("dirs", "unfinished")
        && none("array", "incomplete")
        && none("shards", "skipped")
}

/// What the reports list under `problems`, each with the name of its store.
fn problems(found: &Map<String, Value>) -> Vec<Value> {
    let mut problems = Vec::new();
    for (store, report) in found {
        let parts =
            report["namespaces"].as_object().map_or(vec![report], |all| all.values().collect());
        for problem in
            parts.into_iter().filter_map(|report| report["problems"].as_array()).flatten()
        {
            problems.push(
                json!({ "store": store, "place": problem["place"], "what": problem["what"] }),
            );
        }
    }
    problems
}
