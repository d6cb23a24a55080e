use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use larder_storage::{Digest, Result};

use super::{Draft, Exclusively, Index, Page, Plan, Row, Totals};
use crate::Id;

/// Records that live as long as this value.
#[derive(Debug, Default)]
pub(crate) struct MemoryIndex(RwLock<Records>);

#[derive(Debug, Default)]
struct Records {
    rows: BTreeMap<Id, Arc<Row>>,
    by_provenance: HashMap<(Cow<'static, str>, Digest), Id>,
    /// How many records have each payload, and its length.
    payloads: HashMap<Digest, (u64, u64)>,
}

impl Records {
    fn by_provenance(&self, kind: &'static str, key: &Digest) -> Option<&Arc<Row>> {
        self.by_provenance.get(&(Cow::Borrowed(kind), *key)).and_then(|id| self.rows.get(id))
    }

    /// Adds a row, or puts it in the place of the one that has its id.
    fn store(&mut self, row: Row) -> Arc<Row> {
        let row = Arc::new(row);
        self.payloads.entry(row.payload).or_insert((0, row.payload_len)).0 += 1;
        if let Some(key) = row.key {
            self.by_provenance.insert((row.kind.clone(), key), row.id);
        }
        if let Some(old) = self.rows.insert(row.id, Arc::clone(&row)) {
            self.release(&old.payload);
        }
        row
    }

    fn remove(&mut self, id: Id) -> Option<Digest> {
        let row = self.rows.remove(&id)?;
        if let Some(key) = row.key {
            self.by_provenance.remove(&(row.kind.clone(), key));
        }
        self.release(&row.payload);
        Some(row.payload)
    }

    fn release(&mut self, payload: &Digest) {
        if let Some((uses, _)) = self.payloads.get_mut(payload) {
            *uses -= 1;
            if *uses == 0 {
                self.payloads.remove(payload);
            }
        }
    }
}

impl MemoryIndex {
    fn read(&self) -> RwLockReadGuard<'_, Records> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Records> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index for MemoryIndex {
    fn by_id(&self, id: Id) -> Result<Option<Arc<Row>>> {
        Ok(self.read().rows.get(&id).cloned())
    }

    fn by_provenance(&self, kind: &'static str, key: &Digest) -> Result<Option<Arc<Row>>> {
        Ok(self.read().by_provenance(kind, key).cloned())
    }

    fn insert(
        &self,
        draft: &Draft,
        broken: Option<&Digest>,
        ensure: Exclusively<'_>,
    ) -> Result<Arc<Row>> {
        let mut records = self.write();
        let keyed = draft.provenance.as_ref();
        let existing =
            keyed.and_then(|keyed| records.by_provenance(draft.kind, &keyed.key)).cloned();
        match Row::plan(draft, existing, broken) {
            Plan::Keep(row) => Ok(row),
            Plan::Insert(row) | Plan::Replace(row) => {
                ensure()?;
                Ok(records.store(row))
            }
        }
    }

    fn delete(&self, id: Id) -> Result<(bool, Option<Digest>)> {
        let payload = self.write().remove(id);
        Ok((payload.is_some(), payload))
    }

    fn if_unused(&self, payload: &Digest, reap: Exclusively<'_>) -> Result<()> {
        let records = self.write();
        if records.payloads.contains_key(payload) { Ok(()) } else { reap() }
    }

    fn page(&self, kind: Option<&'static str>, after: &[u8], limit: usize) -> Result<Page> {
        let after = <[u8; 16]>::try_from(after).map(Id::from_bytes);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let records = self.read();
        let rows = records.rows.range((start, Bound::Unbounded)).map(|(_, row)| row);
        let rows = rows.filter(|row| kind.is_none_or(|kind| row.kind == kind)).take(limit);
        let rows: Vec<_> = rows.cloned().collect();
        let last = rows.last().map(|row| row.id.as_bytes().to_vec()).unwrap_or_default();
        Ok(Page { rows: rows.into_iter().map(Ok).collect(), last })
    }

    fn len(&self, kind: &str) -> Result<u64> {
        Ok(self.read().rows.values().filter(|row| row.kind == kind).count() as u64)
    }

    fn totals(&self) -> Result<Totals> {
        let records = self.read();
        let mut kinds = BTreeMap::<String, u64>::new();
        for row in records.rows.values() {
            *kinds.entry(row.kind.to_string()).or_default() += 1;
        }
        let (payloads, bytes) =
            (records.payloads.len() as u64, records.payloads.values().map(|(_, len)| len).sum());
        Ok(Totals { kinds: kinds.into_iter().collect(), payloads, bytes })
    }

    fn damage(&self) -> Result<Option<String>> {
        Ok(None)
    }

    fn faults(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
