//! Results keyed by what produced them: never compute the same thing twice, always know where it came from.
//!
//! ```
//! use larder_provenance::{Options, Provenance, ProvenanceStore};
//! use larder_storage::Digest;
//!
//! # fn main() -> larder_storage::Result<()> {
//! # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
//! # let dir = dir.path();
//! let store = ProvenanceStore::<Vec<u8>>::open(dir, Options::default())?;
//! let reads = Digest::of(b"the bytes of an input file");
//! let sorted = Provenance::new("sort").version("2").input(reads).param("stable", true);
//!
//! let first = store.get_or_compute(&sorted, || Ok(b"sorted".to_vec()))?;
//! assert!(first.computed);
//! let again = store.get_or_compute(&sorted, || unreachable!("it is there"))?;
//! assert_eq!((again.id, again.computed), (first.id, false));
//!
//! // What is derived from it names it.
//! let counted = Provenance::new("count").input_as("reads", first.id);
//! let id = store.put(b"6".to_vec(), Some(counted.clone()))?;
//! assert_eq!(store.get(id)?.unwrap().provenance, Some(counted));
//! # Ok(())
//! # }
//! ```
//!
//! [`ProvenanceStore`] holds any [`Payload`]; [`TrackStore`] and [`GenomeStore`] stand on it. Several may share one
//! directory through [`ProvenanceStore::view`], so that a track names the genome that it was made from.
//!
//! # Guarantees
//!
//! - One provenance has one id, whoever puts it at once, in any thread or process that shares the directory.
//! - [`get_or_compute`](ProvenanceStore::get_or_compute) runs the work once across threads and processes; where it fails,
//!   panics or is killed, nothing is stored and the next one runs it.
//! - Provenances that differ never share a key, and equal ones always do: see [`encoding`].
//! - A payload is checked against its digest each time it is read. One that is missing or damaged is a miss for
//!   [`find`](ProvenanceStore::find), [`put`](ProvenanceStore::put) and `get_or_compute`, which puts it in place under
//!   the old id; for [`get`](ProvenanceStore::get) it is [`Corrupt`](larder_storage::ErrorKind::Corrupt).
//! - In memory and durable stores behave alike. What an acknowledged record survives is chosen by
//!   [`Options::durability`].
//!
//! # Limits
//!
//! - The records lie in an SQLite database on a local disk; only payloads may lie on any storage. Stores with
//!   different records that share a storage must not delete: each one knows only its own use of a payload.
//! - A payload is in memory as a whole while it is stored or read.
//! - Inputs are not looked up: a provenance may name what is not, or no longer, in the store.

pub mod encoding;

mod backend;
mod blobs;
mod genome;
mod graph;
mod id;
mod index;
mod payload;
mod provenance;
mod published;
mod report;
mod row;
mod state;
mod store;
mod track;
mod value;

pub use backend::Refreshed;
pub use genome::{GENOME_FORMAT_VERSION, Genome, GenomeRecord, GenomeStore, StoredGenome};
pub use graph::{Lineage, LineageEdge, LineageRecord, PROV_NAMESPACE};
pub use id::Id;
pub use index::{APPLICATION_ID, FORMAT_VERSION, is_store, repair};
pub use payload::{Encoded, Json, Payload};
pub use provenance::{Difference, Input, Provenance, Source};
pub use report::{Status, VerifyReport};
pub use row::RECORD_FORMAT_VERSION;
pub use state::State;
pub use store::{
    Explanation, GcOptions, GcReport, Merged, Options, Outcome, ProvenanceStore, Record, Records,
    Relative, Relatives, Stored,
};
pub use track::{
    Chroms, Handle, Interval, IntervalTrack, PlacedTrack, Signal, SignalTrack, StoredTrack, Strand,
    TRACK_FORMAT_VERSION, Track, TrackLabel, TrackRecord, TrackStore, TrackType,
};
pub use value::Value;
