//! What a drawing says of one node.

use larder_storage::time::utc;

use super::LineageRecord;
use crate::{Provenance, Source, State};

/// A vertex of the graph: a record, some content outside every store, or an id that is in no record.
pub(super) struct Node<'a> {
    pub(super) source: Source,
    pub(super) record: Option<&'a LineageRecord>,
}

/// What kind of vertex it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Record(State),
    Content,
    Missing,
}

impl Status {
    pub(super) const ALL: [Self; 6] = [
        Self::Content,
        Self::Record(State::Live),
        Self::Record(State::Doubtful),
        Self::Record(State::Collected),
        Self::Record(State::Invalid),
        Self::Missing,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Record(state) => state.as_str(),
            Self::Content => "content",
            Self::Missing => "missing",
        }
    }
}

impl<'a> Node<'a> {
    pub(super) fn status(&self) -> Status {
        match (self.source, self.record) {
            (Source::Content(_), _) => Status::Content,
            (Source::Record(_), None) => Status::Missing,
            (Source::Record(_), Some(record)) => Status::Record(record.record.state),
        }
    }

    pub(super) fn provenance(&self) -> Option<&'a Provenance> {
        self.record?.record.provenance.as_ref()
    }

    /// The operation, or the kind of what has no provenance.
    pub(super) fn heading(&self) -> &'a str {
        match (self.provenance(), self.record) {
            (Some(provenance), _) => provenance.operation(),
            (None, Some(record)) => &record.record.kind,
            (None, None) => self.status().as_str(),
        }
    }

    /// What people call it, where that says more than the heading.
    pub(super) fn label(&self) -> Option<&'a str> {
        self.record?.label.as_deref().filter(|label| *label != self.heading())
    }

    /// The id in short form, and the size.
    pub(super) fn footer(&self) -> String {
        let id = self.id();
        match (self.source, self.record) {
            // Ids of one time begin alike, and digests do not.
            (Source::Content(_), _) => format!("{}…", &id[..12]),
            (Source::Record(_), None) => format!("…{}", &id[id.len() - 8..]),
            (Source::Record(_), Some(record)) => {
                format!("…{} · {}", &id[id.len() - 8..], size(record.record.payload_len))
            }
        }
    }

    /// The whole id or digest.
    pub(super) fn id(&self) -> String {
        match self.source {
            Source::Record(id) => id.to_string(),
            Source::Content(digest) => digest.to_string(),
        }
    }

    /// All that there is to say, a line for each thing.
    pub(super) fn details(&self) -> Vec<String> {
        let Some(LineageRecord { record, label }) = self.record else {
            return vec![format!("{} {}", self.status().as_str(), self.id())];
        };
        let version = self.provenance().and_then(Provenance::code_version);
        let version = version.map(|version| format!(", version {version}"));
        let mut lines = vec![format!("{}{}", self.heading(), version.unwrap_or_default())];
        lines.extend(label.clone());
        lines.push(format!("{} {}", record.state, record.id));
        lines.push(format!("{}, {} bytes", record.kind, record.payload_len));
        lines.push(utc(record.created_at, 0));
        lines
    }
}

/// A number of bytes for people, of which three digits or four count.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = bytes.checked_ilog2().unwrap_or(0) / 10;
    match power {
        0 => format!("{bytes} B"),
        _ => format!("{:.1} {}", bytes as f64 / 1024_f64.powi(power as i32), UNITS[power as usize]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_a_reader_expects() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }
}
