//! Every version of an on-disk format that the code names is documented.

use super::Problem;
use super::files::File;

const PAGE: &str = "docs/formats.md";

/// A constant whose name ends in `FORMAT_VERSION`.
struct Version<'a> {
    file: &'a File,
    line: usize,
    name: &'a str,
    kind: &'a str,
    value: &'a str,
    documented: bool,
}

/// Each format version has a doc comment, a plain type and value, and its line in the page of formats.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    let Some(page) = files.iter().find(|file| file.path == PAGE) else {
        return vec![Problem::new(
            PAGE,
            "it is missing",
            "write down every file, table and field that the crates keep",
        )];
    };
    files.iter().flat_map(versions).flat_map(|version| check_version(&version, page)).collect()
}

fn check_version(version: &Version<'_>, page: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut push = |what: &str, fix: &str| {
        let place = format!("{}:{}", version.file.path, version.line);
        problems.push(Problem::new(place, format!("`{}` {what}", version.name), fix));
    };
    if !version.documented {
        push("has no doc comment", "say of which file or table it is the version");
    }
    if !is_plain(version.kind, version.value) {
        push("is not a plain u32 or &str", "declare it on one line with a literal value");
        return problems;
    }
    let name = format!("`{}`", crate_of(version.file).unwrap_or_default());
    let value = format!("`{} = {}`", version.name, version.value);
    if !page.text.lines().any(|line| line.contains(&name) && line.contains(&value)) {
        push("is not documented", &format!("{PAGE} needs a line with {name} and {value}"));
    }
    problems
}

fn is_plain(kind: &str, value: &str) -> bool {
    match kind {
        "u32" => value.parse::<u32>().is_ok(),
        "&str" | "&'static str" => {
            value.len() > 2 && value.starts_with('"') && value.ends_with('"')
        }
        _ => false,
    }
}

/// The constants in the sources of a crate.
fn versions(file: &File) -> Vec<Version<'_>> {
    if !file.is_rust() || crate_of(file).is_none() {
        return Vec::new();
    }
    let mut documented = false;
    let mut found = Vec::new();
    for (number, line) in file.lines() {
        let line_text = line.trim();
        if let Some((name, kind, value)) = declaration(line_text) {
            found.push(Version { file, line: number, name, kind, value, documented });
        }
        // An attribute may stand between a comment and its constant.
        documented = line_text.starts_with("///") || (documented && line_text.starts_with("#["));
    }
    found
}

/// Name, type and value of a format version's constant.
fn declaration(line: &str) -> Option<(&str, &str, &str)> {
    let (visibility, rest) = line.split_once("const ")?;
    let (name, rest) = rest.split_once(':')?;
    let named = name.ends_with("FORMAT_VERSION")
        && (visibility.is_empty() || visibility.starts_with("pub"));
    let (kind, value) = rest.split_once('=').unwrap_or((rest, ""));
    named.then(|| (name, kind.trim(), value.trim().trim_end_matches(';')))
}

fn crate_of(file: &File) -> Option<&str> {
    let (name, rest) = file.path.strip_prefix("crates/")?.split_once('/')?;
    rest.starts_with("src/").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "/// Of the table `entries`.\n#[doc(hidden)]\npub const FORMAT_VERSION: u32 = 1;\n\
        /// Of the document.\npub(crate) const DOCUMENT_FORMAT_VERSION: &str = \"1.0\";\n";
    const DOCS: &str =
        "`larder-a` keeps `FORMAT_VERSION = 1`\n`larder-a`: `DOCUMENT_FORMAT_VERSION = \"1.0\"`\n";

    fn whats(source: &str, page: &str) -> Vec<String> {
        let files = [File::new("crates/larder-a/src/lib.rs", source), File::new(PAGE, page)];
        check(&files).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn documented_versions_are_good() {
        assert!(whats(SOURCE, DOCS).is_empty());
        assert!(whats("const OTHER: u32 = 1;\nlet x = FORMAT_VERSION;\n", "").is_empty());
    }

    #[test]
    fn another_crates_or_another_formats_line_does_not_count() {
        let undocumented =
            ["`FORMAT_VERSION` is not documented", "`DOCUMENT_FORMAT_VERSION` is not documented"];
        assert_eq!(whats(SOURCE, ""), undocumented);
        assert_eq!(whats(SOURCE, &DOCS.replace("larder-a", "larder-ab")), undocumented);
        assert_eq!(whats(SOURCE, DOCS.lines().next_back().unwrap()), undocumented[..1]);
    }

    #[test]
    fn a_raised_version_is_not_documented_by_the_old_line() {
        assert_eq!(
            whats(&SOURCE.replace("= 1;", "= 12;"), DOCS),
            ["`FORMAT_VERSION` is not documented"]
        );
    }

    #[test]
    fn a_version_has_a_comment_and_a_plain_value() {
        let bare = "pub const FORMAT_VERSION: u32 = 1;\n";
        assert_eq!(whats(bare, DOCS), ["`FORMAT_VERSION` has no doc comment"]);
        for bad in ["u8 = 1;", "u32 = other::FORMAT_VERSION;", "u32 =", "&str = 1;"] {
            let source = format!("/// Of x.\nconst FORMAT_VERSION: {bad}\n");
            assert_eq!(
                whats(&source, DOCS),
                ["`FORMAT_VERSION` is not a plain u32 or &str"],
                "{bad}"
            );
        }
    }

    #[test]
    fn a_missing_page_is_a_problem() {
        let problems = check(&[File::new("crates/larder-a/src/lib.rs", "")]);
        assert!(
            problems.len() == 1
                && problems[0].to_string().starts_with("docs/formats.md: it is missing; ")
        );
    }
}
