//! Markdown links from file to file lead somewhere.

use super::Problem;
use super::files::File;

/// Each link of each page that is no URL leads to a file or folder of the repository. `exists` takes a path from its root.
pub(super) fn check(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.is_markdown()) {
        for (line, target) in targets(file) {
            if !resolve(&file.path, &target).is_some_and(|path| exists(&path)) {
                let what = format!("the link to {target} leads nowhere");
                let fix = "name a file of the repository, by its path from this page";
                problems.push(Problem::new(format!("{}:{line}", file.path), what, fix));
            }
        }
    }
    problems
}

/// The links of a page that name files, without the part after `#`, each with its line. Code is passed over.
fn targets(page: &File) -> Vec<(usize, String)> {
    let mut in_code = false;
    let mut found = Vec::new();
    for (number, line) in page.lines() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            in_code = !in_code;
        } else if !in_code {
            let files =
                links(&without_code(line)).into_iter().filter(|target| !target.contains(':'));
            let paths = files.map(|target| target.split('#').next().unwrap_or_default().to_owned());
            found.extend(paths.filter(|path| !path.is_empty()).map(|path| (number, path)));
        }
    }
    found
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// The targets of `[text](target "title")` and of `[name]: target`.
fn links(line: &str) -> Vec<String> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let definition =
        line.trim_start().strip_prefix('[').and_then(|rest| Some(rest.split_once("]: ")?.1));
    let target = |text: &str| {
        text.split_whitespace().next().map(|it| it.trim_matches(['<', '>']).to_owned())
    };
    inline.chain(definition).filter_map(target).collect()
}

/// The target's path from the root; `None` where it leads out of the repository.
fn resolve(page: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> Vec<String> {
        let exists = |path: &str| ["README.md", "docs/why.md", "crates/larder", ""].contains(&path);
        check(&[File::new(path, text)], exists).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_good() {
        let root = "[why](docs/why.md#top), [`larder`](crates/larder/ \"the umbrella\") and [x](<docs/why.md>)\n\
            [url](https://example.org/a) [mail](mailto:a@example.org) [here](#guarantees)\n[ref]: docs/why.md\n";
        assert!(broken("README.md", root).is_empty());
        assert!(broken("docs/why.md", "[up](../README.md) [self](why.md) [root](..)").is_empty());
    }

    #[test]
    fn code_is_not_a_link() {
        assert!(
            broken("README.md", "```rust\na[0](missing.md)\n```\n`[x](missing.md)`\n").is_empty()
        );
    }

    #[test]
    fn a_link_to_nothing_is_told_with_its_line() {
        let found = broken("docs/why.md", "fine\n[a](README.md) [b](../docs/no.md#x)\n");
        assert_eq!(found.len(), 2);
        assert!(
            found[0].starts_with("docs/why.md:2: the link to README.md leads nowhere; "),
            "{found:?}"
        );
        assert_eq!(broken("README.md", "[ref]: no.md\n").len(), 1);
    }

    #[test]
    fn a_link_out_of_the_repository_leads_nowhere() {
        assert_eq!(broken("README.md", "[a](../README.md) [b](/README.md)").len(), 2);
    }
}
