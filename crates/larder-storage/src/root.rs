use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{Error, ErrorKind, Result};

/// The environment variable that names the directory under which every default lies.
pub const ROOT_VARIABLE: &str = "LARDER_ROOT";

/// The directory that Larder uses where none is named: `$LARDER_ROOT`, else `$XDG_CACHE_HOME/larder`, else
/// `~/.cache/larder` (on Windows `%LOCALAPPDATA%\larder`).
///
/// # Errors
///
/// `Invalid` where none of these variables is set.
pub fn default_root() -> Result<PathBuf> {
    pick(|name| env::var_os(name).filter(|value| !value.is_empty()))
}

fn pick(var: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    if let Some(root) = var(ROOT_VARIABLE) {
        return Ok(root.into());
    }
    let cache = var("XDG_CACHE_HOME")
        .or_else(|| var("LOCALAPPDATA"))
        .map(PathBuf::from)
        .filter(|cache| cache.is_absolute())
        .or_else(|| var("HOME").map(|home| Path::new(&home).join(".cache")));
    let unset =
        || Error::new(ErrorKind::Invalid, format!("no default directory: set {ROOT_VARIABLE}"));
    Ok(cache.ok_or_else(unset)?.join("larder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<PathBuf> {
        pick(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn one_variable_decides_before_the_platform() {
        let all = [("LARDER_ROOT", "/r"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(with(&all).unwrap(), Path::new("/r"));
        assert_eq!(with(&all[1..]).unwrap(), Path::new("/x/larder"));
        assert_eq!(with(&all[2..]).unwrap(), Path::new("/h/.cache/larder"));
        assert_eq!(with(&[]).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_relative_platform_directory_is_ignored() {
        assert_eq!(
            with(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]).unwrap(),
            Path::new("/h/.cache/larder")
        );
    }
}
