/// The layout of Python's `json.dump(cache, file, indent=2)`, part by part; Python breaks the lines of values, too.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    entries: u64,
}

impl Layout {
    /// The parts of the next entry, of which the key is a JSON string with its quotes.
    pub(crate) fn entry<'a>(&mut self, key: &'a [u8], value: &'a [u8]) -> [&'a [u8]; 4] {
        self.entries += 1;
        let before: &[u8] = if self.entries == 1 { b"{\n  " } else { b",\n  " };
        [before, key, b": ", value]
    }

    /// What comes after the last entry.
    pub(crate) fn end(&self) -> &'static [u8] {
        if self.entries == 0 { b"{}" } else { b"\n}" }
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }
}
