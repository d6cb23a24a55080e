//! How sources are laid out, and what is never left in them.

use super::Problem;
use super::files::File;

const MAX_LINES: usize = 450;

/// Written in two parts, so that this file passes its own check.
const UNFINISHED: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// No `mod.rs`, no overlong file, nothing marked as unfinished.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    files.iter().filter(|file| file.is_rust() || file.is_markdown()).flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Problem> {
    let mut problems = unfinished(file);
    if file.path.ends_with("/mod.rs") {
        let fix = "move it to `foo.rs` beside its folder `foo/`";
        problems.push(Problem::new(&file.path, "a module file named mod.rs", fix));
    }
    let lines = file.lines().count();
    if file.is_rust() && lines > MAX_LINES {
        let what = format!("{lines} lines, more than {MAX_LINES}");
        problems.push(Problem::new(&file.path, what, "split it by what its parts are about"));
    }
    problems
}

fn unfinished(file: &File) -> Vec<Problem> {
    let problem = |(number, line): (usize, &str)| {
        let mark = UNFINISHED.iter().find(|mark| line.contains(**mark))?;
        let what = format!("`{mark}` marks something unfinished");
        Some(Problem::new(format!("{}:{number}", file.path), what, "finish it, or take it out"))
    };
    file.lines().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(path: &str, text: &str) -> Vec<String> {
        check(&[File::new(path, text)]).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn an_ordinary_file_is_good() {
        assert!(whats("crates/a/src/lib.rs", "//! A.\nfn main() {}\n").is_empty());
        assert!(whats("crates/a/src/lib.rs", &"\n".repeat(MAX_LINES)).is_empty());
        assert!(whats("docs/long.md", &"words\n".repeat(MAX_LINES + 1)).is_empty());
    }

    #[test]
    fn an_overlong_source_is_told() {
        let found = whats("tests/a.rs", &"\n".repeat(MAX_LINES + 1));
        assert_eq!(
            found,
            ["tests/a.rs: 451 lines, more than 450; split it by what its parts are about"]
        );
    }

    #[test]
    fn a_mod_rs_is_told() {
        assert!(whats("crates/a/src/b/mod.rs", "")[0].contains("named mod.rs"));
        assert!(whats("crates/a/src/b/my_mod.rs", "").is_empty());
    }

    #[test]
    fn each_mark_is_told_with_its_line() {
        for mark in UNFINISHED {
            let found = whats("README.md", &format!("fine\n{mark} later\n"));
            assert!(found.len() == 1 && found[0].starts_with("README.md:2: "), "{found:?}");
        }
        assert!(whats("Cargo.toml", UNFINISHED[0]).is_empty(), "only sources and pages are read");
    }
}
