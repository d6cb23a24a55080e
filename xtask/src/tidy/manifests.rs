//! What every manifest says.

use super::Problem;
use super::files::File;
use crate::workspace::{Package, Workspace};

/// Lines that every member's manifest has: its section, and the line.
const INHERITED: [(&str, &str); 5] = [
    ("[lints]", "workspace = true"),
    ("[package]", "version.workspace = true"),
    ("[package]", "edition.workspace = true"),
    ("[package]", "rust-version.workspace = true"),
    ("[package]", "license.workspace = true"),
];

/// Every member inherits what is shared; every published crate says what it is.
pub(super) fn check(workspace: &Workspace, files: &[File]) -> Vec<Problem> {
    let inherited = workspace
        .members()
        .flat_map(|it| check_inherited(&it.manifest, text_of(files, &it.manifest)));
    inherited.chain(workspace.published().flat_map(|it| check_described(it, files))).collect()
}

fn text_of<'a>(files: &'a [File], path: &str) -> &'a str {
    files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
}

fn check_inherited(path: &str, manifest: &str) -> Vec<Problem> {
    INHERITED
        .iter()
        .filter(|(section, line)| !has_line(manifest, section, line))
        .map(|(section, line)| {
            let fix = format!("write `{line}` under {section}");
            Problem::new(path, format!("{section} does not inherit from the workspace"), fix)
        })
        .collect()
}

fn has_line(manifest: &str, section: &str, line: &str) -> bool {
    let from_section = manifest.lines().map(str::trim).skip_while(|it| *it != section).skip(1);
    from_section.take_while(|it| !it.starts_with('[')).any(|it| it == line)
}

fn check_described(package: &Package, files: &[File]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if package.description.as_deref().unwrap_or_default().trim().is_empty() {
        problems.push(Problem::new(
            &package.manifest,
            "no description",
            "say in one line what the crate is",
        ));
    }
    let has_page = package.entry_points.iter().any(|path| text_of(files, path).starts_with("//! "));
    if package.readme.is_none() && !has_page {
        let fix = "open its lib.rs or main.rs with a crate page (`//! ...`)";
        problems.push(Problem::new(&package.manifest, "neither a readme nor a crate page", fix));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\n\n[lints]\nworkspace = true\n\n[dependencies]\n";

    fn whats(problems: Vec<Problem>) -> Vec<String> {
        problems.into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_manifest_that_inherits_is_good() {
        assert!(check_inherited("Cargo.toml", GOOD).is_empty());
    }

    #[test]
    fn each_line_not_inherited_is_told() {
        for (section, line) in INHERITED {
            let bad = GOOD.replacen(line, "# nothing", 1);
            let problems = check_inherited("Cargo.toml", &bad);
            assert_eq!(problems.len(), 1, "{section} {line}");
            assert!(problems[0].to_string().contains(line));
        }
    }

    #[test]
    fn a_line_in_another_section_does_not_count() {
        let moved = GOOD.replace("[lints]", "[features]");
        assert_eq!(
            whats(check_inherited("Cargo.toml", &moved)),
            ["[lints] does not inherit from the workspace"]
        );
    }

    #[test]
    fn a_published_crate_has_a_description_and_a_page() {
        let files = [
            File::new("crates/a/src/lib.rs", "//! What it is.\n"),
            File::new("bare.rs", "fn main() {}\n"),
        ];
        let good = Package {
            description: Some("A".into()),
            entry_points: vec!["crates/a/src/lib.rs".into()],
            ..Package::default()
        };
        assert!(check_described(&good, &files).is_empty());
        let with_readme =
            Package { readme: Some("README.md".into()), entry_points: Vec::new(), ..good };
        assert!(check_described(&with_readme, &files).is_empty());
        let bad = Package { entry_points: vec!["bare.rs".into()], ..Package::default() };
        assert_eq!(
            whats(check_described(&bad, &files)),
            ["no description", "neither a readme nor a crate page"]
        );
    }
}
