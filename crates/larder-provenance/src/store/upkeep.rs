//! What people decide about records: that they are wrong, that they may go, that they have to stay.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use larder_sqlite::Attempt;
use larder_storage::{Digest, ErrorKind, Result, time};
use serde::Serialize;

use super::ProvenanceStore;
use crate::{
    Id, Payload, State,
    backend::{Backend, Refreshed, doubted, existing, put_all},
    index::View,
    row::Row,
};

/// Which payloads [`gc`](ProvenanceStore::gc) gives up.
#[derive(Clone, Debug, Default)]
pub struct GcOptions {
    max_bytes: Option<u64>,
    max_age: Option<Duration>,
    dry_run: bool,
}

impl GcOptions {
    /// Gives up the oldest until the payloads of all records take no more than so many bytes.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Gives up those that were stored longer ago than this.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Says what would go, and does nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// What [`gc`](ProvenanceStore::gc) gave up, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GcReport {
    /// The records whose payloads go, the first to go first.
    pub collected: Vec<Id>,
    /// How many payloads no record has, as writers leave them that are killed.
    pub swept: u64,
    /// The bytes of all these payloads. On a storage that others may share those of the records are freed by the next
    /// collection, which counts them again.
    pub bytes: u64,
}

/// Payloads that no record has are left alone for so long: their records may be on the way.
const GRACE: Duration = Duration::from_hours(1);

/// So many records are collected at once: what these free makes room for the next.
const AT_ONCE: usize = 16;

impl<T: Payload> ProvenanceStore<T> {
    /// Declares a record wrong: its payload goes, and it is computed anew, under its id, where it is asked for. What was
    /// made from it, at any remove, is [doubtful](State::Doubtful): found again as soon as what it was made from is there
    /// with the same payload as before, and else computed anew too. Returns all these, the record itself first.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such record; `Io` or `Backend` where the storage or the database fails.
    pub fn invalidate(&self, id: Id) -> Result<Vec<Id>> {
        self.backend.making_room(|| self.backend.reread(id))?;
        let rows = loop {
            match self.backend.making_room(|| self.invalidate_in_index(id))? {
                Some(rows) => break rows,
                // Something made from it may not be in the index yet.
                None => _ = self.backend.making_room(|| self.backend.refresh())?,
            }
        };
        self.backend.making_room(|| give_up(&self.backend, &rows))?;
        Ok(rows.iter().map(|row| row.id).collect())
    }

    /// `None` where records may be missing in the index.
    fn invalidate_in_index(&self, id: Id) -> Result<Option<Vec<Row>>> {
        self.backend.index.change(|index| {
            if index.is_unread()? {
                return Ok(None);
            }
            let rows = invalidated(index, id)?;
            put_all(index, &rows)?;
            Ok(Some(rows))
        })
    }

    /// What [`invalidate`](Self::invalidate) would return; nothing is changed.
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub fn would_invalidate(&self, id: Id) -> Result<Vec<Id>> {
        let rows = self.backend.index.read(|view| invalidated(view, id))?;
        Ok(rows.iter().map(|row| row.id).collect())
    }

    /// Gives up payloads, of all kinds. Their records stay, so that lineages stay whole, and what was made from them stays
    /// as it is; where such a result is asked for, it is computed anew under its id. What is doubtful goes first, then what
    /// is oldest. Nothing goes that is pinned, or that has no provenance and so could not be computed again.
    ///
    /// Payloads without a record go too, unless they are younger than an hour. On a storage that others may share, all
    /// payloads go that way, so at the next collection.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the storage or the database fails.
    pub fn gc(&self, options: &GcOptions) -> Result<GcReport> {
        let backend = &*self.backend;
        // What others have stored since counts too.
        let is_read_only = backend.index.is_read_only();
        let refresh = || if is_read_only { Ok(Refreshed::default()) } else { backend.refresh() };
        let refreshed = match refresh() {
            // That needs room, and may wait for it where the index knows all there is.
            Err(error) if error.kind() == ErrorKind::Full && backend.unknown()?.is_empty() => None,
            Err(error) if error.kind() == ErrorKind::Full && !options.dry_run => {
                Some(backend.making_room(refresh)?)
            }
            refreshed => Some(refreshed?),
        };
        let mut records = Candidates::default();
        let mut damaged = 0;
        for row in backend.rows() {
            match row {
                Ok(row) => records.add(row),
                Err(one) => {
                    one.problem()?;
                    damaged += 1;
                }
            }
        }
        let mut report = records.choose(options);
        if !options.dry_run {
            let mut collected = Vec::with_capacity(report.collected.len());
            for ids in report.collected.chunks(AT_ONCE) {
                let rows = backend.making_room(|| collect(backend, ids))?;
                backend.making_room(|| give_up(backend, &rows))?;
                // Without it the next round may do all the same.
                let _ = backend.take_ballast();
                collected.extend(rows.iter().map(|row| row.id));
            }
            report.collected = collected;
        }
        let refreshed = match refreshed {
            None if !options.dry_run => backend.making_room(refresh)?,
            refreshed => refreshed.unwrap_or_default(),
        };
        // A record that is not or cannot be read may have any payload.
        let is_unread = backend.index.read(|view| view.is_unread())?;
        if refreshed.problems.is_empty() && damaged == 0 && !is_unread {
            sweep(backend, &records, options.dry_run, &mut report)?;
        }
        if !options.dry_run {
            let _ = backend.take_ballast();
        }
        Ok(report)
    }

    /// Has [`gc`](Self::gc) leave the record's payload, or not any more.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such record; `Io` or `Backend` where the storage or the database fails.
    pub fn pin(&self, id: Id, pinned: bool) -> Result<()> {
        self.backend.edit(id, |row| row.pinned = pinned)
    }

    /// Gives the record a name that it may share with others.
    ///
    /// # Errors
    ///
    /// As [`pin`](Self::pin).
    pub fn tag(&self, id: Id, tag: impl Into<String>) -> Result<()> {
        let tag = tag.into();
        self.backend.edit(id, |row| _ = row.tags.insert(tag))
    }

    /// Takes a name away again.
    ///
    /// # Errors
    ///
    /// As [`pin`](Self::pin).
    pub fn untag(&self, id: Id, tag: &str) -> Result<()> {
        self.backend.edit(id, |row| _ = row.tags.remove(tag))
    }

    /// The records that have the tag, of all kinds, in order.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the database fails.
    pub fn tagged(&self, tag: &str) -> Result<Vec<Id>> {
        self.backend.index.read(|view| view.tagged(tag))
    }

    /// Notes something about the record, in the place of what was noted before; `None` removes that.
    ///
    /// # Errors
    ///
    /// As [`pin`](Self::pin).
    pub fn note(&self, id: Id, note: Option<&str>) -> Result<()> {
        self.backend.edit(id, |row| row.note = note.map(str::to_owned))
    }
}

/// The record and all that was made from it, as they are when it is invalid.
fn invalidated(view: &dyn View, id: Id) -> Attempt<Vec<Row>> {
    let mut rows = vec![existing(view, id)?.in_state(State::Invalid)];
    rows.extend(doubted(view, id)?);
    Ok(rows)
}

/// The records that have payloads.
#[derive(Default)]
struct Candidates {
    rows: Vec<Arc<Row>>,
    uses: HashMap<Digest, Uses>,
}

/// How many records have a payload, and its length.
#[derive(Clone, Copy, Default)]
struct Uses {
    records: u64,
    bytes: u64,
}

impl Candidates {
    fn add(&mut self, row: Arc<Row>) {
        if row.state.has_payload() {
            let used = self.uses.entry(row.content.payload).or_default();
            (used.records, used.bytes) = (used.records + 1, row.content.payload_len);
            self.rows.push(row);
        }
    }

    /// Chooses what is to go.
    fn choose(&mut self, options: &GcOptions) -> GcReport {
        let (mut rows, stay): (Vec<_>, Vec<_>) =
            mem::take(&mut self.rows).into_iter().partition(|row| !row.pinned && row.key.is_some());
        // What shares a payload with these would free nothing.
        let stay: HashSet<_> = stay.iter().map(|row| row.content.payload).collect();
        rows.retain(|row| !stay.contains(&row.content.payload));
        rows.sort_by_key(|row| (row.state == State::Live, row.stored_at));
        let oldest = options.max_age.and_then(|age| SystemTime::now().checked_sub(age));
        let oldest = oldest.map_or(i64::MIN, time::to_ns);
        let mut total = self.uses.values().fold(0_u64, |sum, used| sum.saturating_add(used.bytes));
        let mut report = GcReport::default();
        for row in rows {
            if row.stored_at >= oldest && options.max_bytes.is_none_or(|most| total <= most) {
                continue;
            }
            report.collected.push(row.id);
            if let Some(used) = self.uses.get_mut(&row.content.payload) {
                used.records -= 1;
                if used.records == 0 {
                    total = total.saturating_sub(used.bytes);
                    report.bytes = report.bytes.saturating_add(used.bytes);
                }
            }
        }
        report
    }
}

/// Removes the payloads that no record had, each as soon as it is listed: others may store the same bytes meanwhile, which
/// makes them young.
fn sweep(
    backend: &Backend,
    records: &Candidates,
    dry_run: bool,
    report: &mut GcReport,
) -> Result<()> {
    for blob in backend.blobs.list()? {
        let (payload, entry) = blob?;
        let is_old = entry.modified.elapsed().is_ok_and(|age| age > GRACE);
        if !is_old || records.uses.contains_key(&payload) {
            continue;
        }
        match (dry_run, backend.is_shared()) {
            (true, _) => {}
            (false, true) => backend.blobs.remove(&payload)?,
            (false, false) => backend.reap(&payload)?,
        }
        report.swept += 1;
        report.bytes += entry.len;
    }
    Ok(())
}

/// Removes the payloads of records that have given them up, and writes these to the storage: in this order, because on a full
/// disk the one makes room for the other.
fn give_up(backend: &Backend, rows: &[Row]) -> Result<()> {
    rows.iter().try_for_each(|row| backend.reap(&row.content.payload))?;
    backend.publish(rows.iter().map(|row| &row.id))
}

/// Gives up the payloads of these records, as far as they may still go; returns the records.
fn collect(backend: &Backend, ids: &[Id]) -> Result<Vec<Row>> {
    backend.index.change(|index| {
        let mut rows = Vec::new();
        for id in ids {
            let Some(row) = index.by_id(*id)?.filter(|row| !row.pinned) else { continue };
            let state = match row.state {
                State::Live => State::Collected,
                // Nobody knows whether it was right.
                State::Doubtful => State::Invalid,
                State::Collected | State::Invalid => continue,
            };
            rows.push(row.in_state(state));
        }
        put_all(index, &rows)?;
        Ok(rows)
    })
}
