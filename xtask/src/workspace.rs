//! What `cargo metadata` tells about the workspace, in the few words these commands need.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::run::{self, Result};

/// The workspace and every package of its dependency graph, with all features on and for all platforms.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Absolute.
    pub(crate) root: PathBuf,
    /// Absolute.
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) member: bool,
    pub(crate) published: bool,
    pub(crate) description: Option<String>,
    pub(crate) readme: Option<String>,
    /// Relative to the root, for a member.
    pub(crate) manifest: String,
    /// The files its library and programs start from. Relative to the root, for a member.
    pub(crate) entry_points: Vec<String>,
    /// Every feature but `default`.
    pub(crate) features: Vec<String>,
    /// As declared in the manifest, the optional ones too.
    pub(crate) dependencies: Vec<Dependency>,
    /// Ids of the packages it is built with; development dependencies are not among them.
    pub(crate) built_with: Vec<String>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) dev: bool,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let mut command = run::cargo();
        command.args(["metadata", "--format-version", "1", "--all-features"]);
        let json = run::capture(command.current_dir(env!("CARGO_MANIFEST_DIR")))?;
        let value: Value = serde_json::from_str(&json)
            .map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
        Ok(Self::parse(&value))
    }

    /// Cargo, at the root, where its default members are the workspace's.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = run::cargo();
        command.current_dir(&self.root);
        command
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.member)
    }

    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.members().filter(|package| package.published)
    }

    fn parse(json: &Value) -> Self {
        let root = PathBuf::from(text(&json["workspace_root"]));
        let built_with: HashMap<_, _> = items(&json["resolve"]["nodes"])
            .map(|node| {
                (
                    text(&node["id"]),
                    items(&node["deps"]).filter(|it| is_built(it)).collect::<Vec<_>>(),
                )
            })
            .collect();
        let members: Vec<String> = items(&json["workspace_members"]).map(text).collect();
        let package = |value: &Value| {
            let mut package = Package::parse(value, &root);
            package.member = members.contains(&package.id);
            let edges = built_with.get(&package.id).map_or(&[][..], Vec::as_slice);
            package.built_with = edges.iter().map(|edge| text(&edge["pkg"])).collect();
            package
        };
        let packages = items(&json["packages"]).map(package).collect();
        Self { target: PathBuf::from(text(&json["target_directory"])), packages, root }
    }
}

impl Package {
    fn parse(json: &Value, root: &Path) -> Self {
        let starts = |target: &&Value| {
            items(&target["kind"]).any(|kind| matches!(kind.as_str(), Some("lib" | "bin")))
        };
        let dependency =
            |json: &Value| Dependency { name: text(&json["name"]), dev: json["kind"] == "dev" };
        let features =
            json["features"].as_object().into_iter().flat_map(|features| features.keys());
        Self {
            id: text(&json["id"]),
            name: text(&json["name"]),
            version: text(&json["version"]),
            member: false,
            published: json["publish"].is_null(),
            description: json["description"].as_str().map(str::to_owned),
            readme: json["readme"].as_str().map(str::to_owned),
            manifest: relative(&json["manifest_path"], root),
            entry_points: items(&json["targets"])
                .filter(starts)
                .map(|target| relative(&target["src_path"], root))
                .collect(),
            features: features.filter(|name| *name != "default").cloned().collect(),
            dependencies: items(&json["dependencies"]).map(dependency).collect(),
            built_with: Vec::new(),
        }
    }
}

fn is_built(edge: &Value) -> bool {
    items(&edge["dep_kinds"]).any(|it| it["kind"] != "dev")
}

fn items(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// With `/` between the parts on every host, as in the manifests.
fn relative(path: &Value, root: &Path) -> String {
    let path = PathBuf::from(text(path));
    path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_cargo_writes() {
        let json = serde_json::json!({
            "workspace_root": "/w", "target_directory": "/w/target", "workspace_members": ["a#1"],
            "packages": [{
                "id": "a#1", "name": "a", "publish": null, "description": "A", "manifest_path": "/w/crates/a/Cargo.toml",
                "features": {"default": ["x"], "x": []},
                "dependencies": [{"name": "b", "kind": null}, {"name": "c", "kind": "dev"}],
                "targets": [{"kind": ["lib"], "src_path": "/w/crates/a/src/lib.rs"}, {"kind": ["test"], "src_path": "/w/t.rs"}],
            }, {"id": "b#1", "name": "b", "publish": []}],
            "resolve": {"nodes": [{"id": "a#1", "deps": [
                {"pkg": "b#1", "dep_kinds": [{"kind": "dev"}, {"kind": null}]}, {"pkg": "c#1", "dep_kinds": [{"kind": "dev"}]},
            ]}]},
        });
        let workspace = Workspace::parse(&json);
        assert_eq!(workspace.target, Path::new("/w/target"));
        let [a] = &workspace.published().collect::<Vec<_>>()[..] else { panic!("{workspace:?}") };
        assert_eq!(a.manifest, "crates/a/Cargo.toml");
        assert_eq!(a.entry_points, ["crates/a/src/lib.rs"]);
        assert_eq!(a.features, ["x"]);
        assert_eq!(a.built_with, ["b#1"]);
        assert_eq!(a.dependencies.iter().map(|it| it.dev).collect::<Vec<_>>(), [false, true]);
        assert!(!workspace.packages[1].member && !workspace.packages[1].published);
    }
}
