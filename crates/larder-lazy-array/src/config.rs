use std::path::{Path, PathBuf};

use larder_storage::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How an array is kept: the settings of GSEGUtils' `LazyDiskCacheConfig`, under the same names in
/// [`as_kwargs`](Self::as_kwargs) and in the sidecars of arrays.
///
/// Other than there, an array may leave memory unless that is forbidden, and its files stay unless their removal is
/// asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArrayConfig {
    enable_caching: bool,
    cache_path: Option<PathBuf>,
    purge_disk_on_gc: bool,
    automatic_offloading: bool,
}

impl Default for ArrayConfig {
    fn default() -> Self {
        Self {
            enable_caching: true,
            cache_path: None,
            purge_disk_on_gc: false,
            automatic_offloading: false,
        }
    }
}

impl ArrayConfig {
    /// Whether the array may leave memory. Without it, it stays there once it has come, and counts towards the budget
    /// as an array under a guard does. On by default.
    #[must_use]
    pub fn caching(self, enable_caching: bool) -> Self {
        Self { enable_caching, ..self }
    }

    /// The directory of the store, for [`ArrayStore::configured`](crate::ArrayStore::configured).
    #[must_use]
    pub fn cache_path(self, path: impl Into<PathBuf>) -> Self {
        Self { cache_path: Some(path.into()), ..self }
    }

    /// The directory `folder` in the one set; nothing where none is.
    #[must_use]
    pub fn extend_cache_path(self, folder: impl AsRef<Path>) -> Self {
        Self { cache_path: self.cache_path.map(|path| path.join(folder)), ..self }
    }

    /// Whether the array's files are removed once nobody has it any more: its store, handles and guards are gone. Off by
    /// default.
    #[must_use]
    pub fn purge_on_drop(self, purge_disk_on_gc: bool) -> Self {
        Self { purge_disk_on_gc, ..self }
    }

    /// Whether the array leaves memory as soon as no guard is alive. Off by default.
    #[must_use]
    pub fn automatic_offloading(self, automatic_offloading: bool) -> Self {
        Self { automatic_offloading, ..self }
    }

    /// The settings by the names that GSEGUtils gives them.
    pub fn as_kwargs(&self) -> Map<String, Value> {
        let path = self.cache_path.as_ref().map(|path| path.to_string_lossy().into_owned());
        [
            ("enable_caching", Value::from(self.enable_caching)),
            ("cache_path", Value::from(path)),
            ("purge_disk_on_gc", Value::from(self.purge_disk_on_gc)),
            ("automatic_offloading", Value::from(self.automatic_offloading)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
    }

    /// The settings of these names, and the defaults for those that are missing.
    ///
    /// # Errors
    ///
    /// `Invalid` where a name is none of a setting, or a value is of another type.
    pub fn from_kwargs(settings: Map<String, Value>) -> Result<Self> {
        serde_json::from_value(Value::Object(settings)).map_err(|error| {
            Error::new(ErrorKind::Invalid, "these are no settings of an array").with_source(error)
        })
    }

    pub(crate) fn keeping(&self) -> Keeping {
        Keeping {
            caching: self.enable_caching,
            purge: self.purge_disk_on_gc,
            automatic: self.automatic_offloading,
        }
    }

    pub(crate) fn directory(&self) -> Option<&Path> {
        self.cache_path.as_deref()
    }
}

/// How one array is kept, now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    /// Whether it may leave memory.
    pub(crate) caching: bool,
    /// Whether its files go with it.
    pub(crate) purge: bool,
    /// Whether it leaves memory with its last guard.
    pub(crate) automatic: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_out_and_in_by_the_names_of_the_python_package() {
        let config = ArrayConfig::default().cache_path("/a").extend_cache_path("b");
        let config = config.caching(false).purge_on_drop(true).automatic_offloading(true);
        let kwargs = config.as_kwargs();
        let expected = serde_json::json!({
            "enable_caching": false, "cache_path": "/a/b", "purge_disk_on_gc": true, "automatic_offloading": true,
        });
        assert_eq!(Value::Object(kwargs.clone()), expected);
        assert_eq!(ArrayConfig::from_kwargs(kwargs).unwrap(), config);
        assert_eq!(ArrayConfig::from_kwargs(Map::new()).unwrap(), ArrayConfig::default());
        let pathless = ArrayConfig::default().extend_cache_path("b");
        assert_eq!(pathless, ArrayConfig::default());
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for (name, value) in [("enable_cache", Value::from(true)), ("enable_caching", 1.into())] {
            let kwargs = Map::from_iter([(name.to_owned(), value)]);
            assert_eq!(ArrayConfig::from_kwargs(kwargs).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}
