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
//! directory through [`ProvenanceStore::view`], so that a track names the genome that it was made from. A [`Lineage`] tells
//! what came from what, to [Graphviz](Lineage::to_dot), as a [drawing](Lineage::to_svg) and in the
//! [terms of the W3C](Lineage::to_prov_json).
//!
//! # What seqchain's stores have
//!
//! | `seqchain.api.store` | here |
//! |---|---|
//! | `Provenance(operation, input_ids, params)` | [`Provenance::new`], [`input`](Provenance::input), [`input_as`](Provenance::input_as), [`param`](Provenance::param) |
//! | `operation`, `input_ids`, `params` | the same of a [`Provenance`]; an input is the id of a record or the digest of a content |
//! | `cache_key()`: a tuple | [`Provenance::digest`], which is the same on every machine and after a restart |
//! | inputs are sorted: `subtract(A, B)` is `subtract(B, A)` | they are in order; [in none](Provenance::unordered_inputs) by choice |
//! | `TrackLabel` | [`TrackLabel`] |
//! | `Track`: `IntervalTrack`, a track over a BigWig file | [`Track`]: [`IntervalTrack`], [`SignalTrack`]; BED, bedGraph and [BigWig](SignalTrack::open_bigwig) are read |
//! | `StoredTrack`: `id`, `track`, `track_type`, `chroms`, `created_at`, `provenance` | [`StoredTrack`], the same |
//! | `StoredTrack.temp_file`, `put(.., temp_file=..)` | [`StoredTrack::handle`], [`TrackStore::put_with_handle`] |
//! | `TrackStore()` | [`TrackStore::in_memory`]; durable: [`open`](TrackStore::open) |
//! | `TrackStore.put(track, chroms=.., provenance=..)`: the id of an equal provenance, otherwise a new one | [`TrackStore::put`], the same, among all threads and processes |
//! | `TrackStore.get`, `None` for a miss | [`TrackStore::get`] |
//! | `TrackStore.delete`: a bool; the provenance is free again | [`TrackStore::delete`] |
//! | `TrackStore.list_all`, by time of creation | [`TrackStore::list_all`], without the values |
//! | `Genome(name, .., sequences, annotations, ..)` | [`Genome`]; FASTA is [read](Genome::read_fasta) and [written](Genome::write_fasta) |
//! | `StoredGenome`: `id`, `genome`, `created_at`, `chrom_lengths` | [`StoredGenome`], [`StoredGenome::chrom_lengths`] |
//! | `GenomeStore`: `put`, `get`, `delete`, `list_all` | [`GenomeStore`], the same; [`import`](GenomeStore::import) finds an equal genome |
//! | ids are UUIDs | [`Id`], a UUID of version 7, in the order of creation |
//!
//! # Guarantees
//!
//! - One provenance has one id, whoever puts it at once, in any thread or process, or on any machine that shares the
//!   storage. Another result of it is [`NonDeterministic`](larder_storage::ErrorKind::NonDeterministic), and changes nothing.
//! - [`get_or_compute`](ProvenanceStore::get_or_compute) runs the work once among all these; where it fails, panics or is
//!   killed, nothing is stored and the next one runs it.
//! - Provenances that differ in anything that counts never share a key, and others always do: see [`encoding`].
//!   [`Provenance::differences`] names what differs, and [`explain_miss`](ProvenanceStore::explain_miss) what no record has.
//! - A payload is checked against its digest each time it is read. One that is missing or damaged is a miss for
//!   [`find`](ProvenanceStore::find), [`put`](ProvenanceStore::put) and `get_or_compute`, which puts it in place under
//!   the old id; for [`get`](ProvenanceStore::get) it is [`Corrupt`](larder_storage::ErrorKind::Corrupt).
//! - What was [invalidated](ProvenanceStore::invalidate) is computed anew under its id. Where it comes out the same, what was
//!   made from it stays as it is; where it does not, that is computed anew too, when it is asked for.
//! - What was [collected](ProvenanceStore::gc) keeps its record, so a lineage stays whole.
//! - Records lie on the storage beside the payloads. The index of them is made from these: a lost or damaged one costs
//!   nothing, and [`refresh`](ProvenanceStore::refresh) takes up what other machines did.
//!   [`repair`](ProvenanceStore::repair) moves what is damaged aside, and keeps the rest.
//! - Results can be given up on a full disk, and read on one that may not be written.
//! - In memory and durable stores behave alike. What an acknowledged record survives is chosen by
//!   [`Options::durability`].
//!
//! # Limits
//!
//! - The index is an SQLite database on a local disk.
//! - A payload is in memory as a whole while it is stored or read, and so is a record.
//! - Work that asks for a result whose own work asks for the first one is [`Locked`](larder_storage::ErrorKind::Locked) among
//!   the threads that share a store or a local root; two processes that do so wait for ever.
//! - A local root that once had an index elsewhere ([`ProvenanceStore::on`]) counts as shared from then on: payloads that no record
//!   has go with a collection only. docs/formats.md tells what to remove where that is over.
//! - A result whose payload was collected is not compared with the one that is computed anew.
//! - The clocks of machines that share a storage, and its own, may differ by 15 minutes: whose is further off may miss a
//!   change in a refresh. A collection leaves payloads without a record that are younger than an hour by its clock.
//! - An input that is a record has to be in the same store; what lies elsewhere is named by the digest of its content.
//! - Machines that share a storage know each other's records where they ask for them by provenance, and all of them after
//!   a refresh: until then one may still find what another has just invalidated or deleted. Two that compute one result
//!   again at once, after it was lost or invalidated, and get different ones keep the later.

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

pub use backend::{Refreshed, RepairReport};
pub use genome::{GENOME_FORMAT_VERSION, Genome, GenomeRecord, GenomeStore, StoredGenome};
pub use graph::{Lineage, LineageEdge, LineageRecord, PROV_NAMESPACE};
pub use id::Id;
pub use index::{APPLICATION_ID, FORMAT_VERSION, is_store, repair_index};
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
    Chroms, Handle, Interval, IntervalIndex, IntervalTrack, Overlaps, PlacedTrack, Run, Runs,
    Signal, SignalTrack, Signals, StoredTrack, Strand, TRACK_FORMAT_VERSION, Track, TrackLabel,
    TrackRecord, TrackStore, TrackType,
};
pub use value::Value;
