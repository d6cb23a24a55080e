use std::fmt;

/// What an acknowledged write survives.
///
/// | level | a killed process | a power cut | cost |
/// |---|---|---|---|
/// | `Scratch` | published objects do; work that spans several steps may have to be done again | no | no fsync |
/// | `Process` | yes | no: an object may be empty or cut short, which its checksum tells where its format has one | no fsync of objects |
/// | `Power` | yes | yes | file and directory fsync on each publication |
///
/// A single object is published by one rename at every level, so no reader ever sees half of it, and at `Scratch`
/// and `Process` it costs the same. The two differ in databases, which at `Scratch` may need a rebuild after a
/// power cut and at `Process` stay consistent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// For what can be made again at any time.
    Scratch,
    /// Survives `kill -9`. The default.
    #[default]
    Process,
    /// Survives a power cut.
    Power,
}

impl Durability {
    /// Whether files and directories are flushed to the device before a write is acknowledged.
    pub fn syncs(self) -> bool {
        self == Self::Power
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scratch => "scratch",
            Self::Process => "process",
            Self::Power => "power",
        })
    }
}
