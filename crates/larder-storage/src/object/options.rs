use std::fmt;

/// How a remote store is opened.
#[derive(Clone)]
pub struct Options {
    pub(super) probe: bool,
    pub(super) read_only: bool,
    pub(crate) settings: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { probe: true, read_only: false, settings: Vec::new() }
    }
}

impl Options {
    /// Whether the server has to show at open that it keeps conditions (it does by default; some 65 small requests).
    ///
    /// Off for what is only read, and where the same server has passed before.
    #[must_use]
    pub fn probe(mut self, probe: bool) -> Self {
        self.probe = probe;
        self
    }

    /// Sets what `object_store` knows by this name, such as `aws_endpoint` or `azure_storage_account_key`.
    ///
    /// It comes before the environment variable of that name in capitals.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    pub(crate) fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

// Values may be secrets.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.settings.iter().map(|(name, _)| name).collect();
        f.debug_struct("Options")
            .field("probe", &self.probe)
            .field("read_only", &self.read_only)
            .field("settings", &names)
            .finish()
    }
}
