//! What a crate may not be built with, however far down.

use std::collections::{HashMap, VecDeque};

use super::Problem;
use crate::workspace::{Package, Workspace};

/// A published crate, and what its users never have to build. A `*` at the end stands for any ending.
const FORBIDDEN: [(&str, &[&str]); 2] = [
    ("larder-storage", &["arrow*", "parquet", "rusqlite", "ndarray"]),
    ("larder-dir-cache", &["arrow*", "parquet", "ndarray"]),
];

/// What no published crate is built with: each needs more on the machine than Rust and a C compiler.
const FORBIDDEN_EVERYWHERE: &[&str] = &["openssl-sys", "cmake"];

/// No published crate is built with a package forbidden to it.
pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    workspace.published().flat_map(|package| check_package(workspace, package)).collect()
}

fn check_package(workspace: &Workspace, package: &Package) -> Vec<Problem> {
    let own = FORBIDDEN
        .iter()
        .filter(|(name, _)| *name == package.name)
        .flat_map(|(_, patterns)| *patterns);
    let patterns: Vec<&str> = own.chain(FORBIDDEN_EVERYWHERE).copied().collect();
    let problem = |path: Vec<&str>| {
        let what =
            format!("it is built with {}, by {}", path.last().unwrap_or(&""), path.join(" -> "));
        Problem::new(
            &package.manifest,
            what,
            "drop the dependency, or the feature that brings it in",
        )
    };
    paths(workspace, package)
        .into_iter()
        .filter(|path| {
            path.last().is_some_and(|name| patterns.iter().any(|pattern| matches(pattern, name)))
        })
        .map(problem)
        .collect()
}

/// For each package that `from` is built with, the shortest path to it, by names.
fn paths<'a>(workspace: &'a Workspace, from: &'a Package) -> Vec<Vec<&'a str>> {
    let by_id: HashMap<&str, &Package> =
        workspace.packages.iter().map(|it| (it.id.as_str(), it)).collect();
    let mut found: HashMap<&str, Vec<&str>> =
        HashMap::from([(from.id.as_str(), vec![from.name.as_str()])]);
    let mut queue = VecDeque::from([from]);
    let mut paths = Vec::new();
    while let Some(package) = queue.pop_front() {
        let path = found[package.id.as_str()].clone();
        for next in package.built_with.iter().filter_map(|id| by_id.get(id.as_str())) {
            if !found.contains_key(next.id.as_str()) {
                let longer = [path.as_slice(), &[next.name.as_str()]].concat();
                found.insert(&next.id, longer.clone());
                paths.push(longer);
                queue.push_back(next);
            }
        }
    }
    paths
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, built_with: &[&str]) -> Package {
        Package {
            id: name.into(),
            name: name.into(),
            member: name.starts_with("larder"),
            published: name.starts_with("larder"),
            built_with: built_with.iter().map(|&id| id.into()).collect(),
            ..Package::default()
        }
    }

    fn problems(packages: &[Package]) -> Vec<String> {
        let workspace = Workspace { packages: packages.to_vec(), ..Workspace::default() };
        check(&workspace).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn what_is_not_forbidden_is_allowed() {
        let storage = package("larder-storage", &["arrayvec"]);
        let shards = package("larder-embedding-shards", &["arrow-array", "ndarray"]);
        assert!(
            problems(&[storage, shards, package("arrayvec", &[]), package("arrow-array", &[])])
                .is_empty()
        );
    }

    #[test]
    fn a_forbidden_package_is_found_far_down_and_its_path_told() {
        let storage = package("larder-storage", &["bytes", "half"]);
        let half = package("half", &["arrow-array", "larder-storage"]);
        let found = problems(&[storage, package("bytes", &[]), half, package("arrow-array", &[])]);
        assert_eq!(
            found,
            ["it is built with arrow-array, by larder-storage -> half -> arrow-array"]
        );
    }

    #[test]
    fn a_tool_that_machines_lack_is_forbidden_to_all() {
        let cli = package("larder-cli", &["cmake"]);
        assert_eq!(
            problems(&[cli, package("cmake", &[])]),
            ["it is built with cmake, by larder-cli -> cmake"]
        );
        assert!(problems(&[package("xtask", &["cmake"]), package("cmake", &[])]).is_empty());
    }
}
