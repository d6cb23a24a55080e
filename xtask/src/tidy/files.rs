//! The files that the checks read.

use std::fs;
use std::io;
use std::path::Path;

use crate::run::Result;

/// A Rust source, a Markdown page or a manifest of the repository.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the root, with `/` between the parts.
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    #[cfg(test)]
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(super) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// Its lines, counted from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Reads the tree under `root`, sorted by path. Hidden folders and build output are passed over.
pub(super) fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    read_into(&mut files, root, "")
        .map_err(|error| format!("cannot read the tree {}: {error}", root.display()))?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn read_into(files: &mut Vec<File>, folder: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && name != "target" {
                read_into(files, &entry.path(), &format!("{path}/"))?;
            }
        } else if name.ends_with(".rs") || name.ends_with(".md") || name == "Cargo.toml" {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).into_owned();
            files.push(File { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_package_and_no_build_output() {
        let files = read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let this = files.iter().find(|file| file.path == "src/tidy/files.rs").unwrap();
        assert!(this.is_rust() && this.text.contains("reads_this_package_and_no_build_output"));
        assert!(files.is_sorted_by(|a, b| a.path < b.path));
    }

    #[test]
    fn a_missing_root_is_told() {
        assert!(read(Path::new("/no/such/root")).unwrap_err().contains("/no/such/root"));
    }
}
