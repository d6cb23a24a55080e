//! Who may depend on whom.

use super::Problem;
use crate::workspace::{Package, Workspace};

/// Each published crate, and the crates of the workspace it may be built with.
const LAYERS: [(&str, &[&str]); 9] = [
    ("larder-storage", &[]),
    ("larder-sqlite", &["larder-storage"]),
    ("larder-kv-cache", STORE),
    ("larder-lazy-array", STORE),
    ("larder-embedding-shards", STORE),
    ("larder-dir-cache", STORE),
    ("larder-provenance", STORE),
    (
        "larder",
        &[
            "larder-storage",
            "larder-kv-cache",
            "larder-lazy-array",
            "larder-embedding-shards",
            "larder-dir-cache",
            "larder-provenance",
        ],
    ),
    ("larder-cli", &["larder"]),
];
const STORE: &[&str] = &["larder-storage", "larder-sqlite"];

/// A published crate is built only with the layers below it, and nothing depends on an unpublished package.
pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    workspace.members().flat_map(|package| check_package(workspace, package)).collect()
}

fn check_package(workspace: &Workspace, package: &Package) -> Vec<Problem> {
    let row = LAYERS.iter().find(|(name, _)| *name == package.name);
    if package.published && row.is_none() {
        let fix = "give it a row in xtask/src/tidy/layers.rs, or `publish = false`";
        return vec![Problem::new(
            &package.manifest,
            format!("{} has no layer", package.name),
            fix,
        )];
    }
    let mut problems = Vec::new();
    for dependency in &package.dependencies {
        let Some(on) = workspace.members().find(|member| member.name == dependency.name) else {
            continue;
        };
        let allowed =
            row.is_none_or(|(_, below)| dependency.dev || below.contains(&on.name.as_str()));
        if !on.published {
            let fix = "move what is shared into a published crate below both";
            problems.push(Problem::new(
                &package.manifest,
                format!("it depends on the unpublished {}", on.name),
                fix,
            ));
        } else if !allowed {
            let fix = "depend on a lower layer, or move what is shared into larder-storage";
            let what = format!("{} may not depend on {}", package.name, on.name);
            problems.push(Problem::new(&package.manifest, what, fix));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, published: bool, dependencies: &[(&str, bool)]) -> Package {
        let dependency = |&(name, dev): &(&str, bool)| Dependency { name: name.into(), dev };
        Package {
            name: name.into(),
            member: true,
            published,
            dependencies: dependencies.iter().map(dependency).collect(),
            ..Package::default()
        }
    }

    fn problems(packages: &[Package]) -> Vec<String> {
        let workspace = Workspace { packages: packages.to_vec(), ..Workspace::default() };
        check(&workspace).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn the_layers_may_depend_downwards() {
        let storage = package("larder-storage", true, &[("bytes", false), ("larder-sqlite", true)]);
        let sqlite = package("larder-sqlite", true, &[("larder-storage", false)]);
        let store = package(
            "larder-kv-cache",
            true,
            &[("larder-sqlite", false), ("larder-storage", false)],
        );
        let umbrella =
            package("larder", true, &[("larder-kv-cache", false), ("larder-storage", false)]);
        let tests = package("larder-tests", false, &[("larder", true), ("larder-kv-cache", false)]);
        assert!(problems(&[storage, sqlite, store, umbrella, tests]).is_empty());
    }

    #[test]
    fn upwards_and_sideways_are_refused() {
        let storage = package("larder-storage", true, &[("larder-sqlite", false)]);
        let sqlite = package("larder-sqlite", true, &[]);
        let store = package("larder-kv-cache", true, &[("larder-dir-cache", false)]);
        let other = package("larder-dir-cache", true, &[]);
        let cli = package("larder-cli", true, &[("larder-storage", false)]);
        assert_eq!(
            problems(&[storage, sqlite, store, other, cli]),
            [
                "larder-storage may not depend on larder-sqlite",
                "larder-kv-cache may not depend on larder-dir-cache",
                "larder-cli may not depend on larder-storage",
            ]
        );
    }

    #[test]
    fn nothing_depends_on_an_unpublished_package_even_for_its_tests() {
        let bench = package("larder-bench", false, &[]);
        let tests = package("larder-tests", false, &[("larder-bench", true)]);
        assert_eq!(problems(&[bench, tests]), ["it depends on the unpublished larder-bench"]);
    }

    #[test]
    fn a_new_published_crate_needs_a_layer() {
        assert_eq!(problems(&[package("larder-new", true, &[])]), ["larder-new has no layer"]);
    }
}
