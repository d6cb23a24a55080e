use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    ops::Bound,
    sync::{Arc, PoisonError, RwLock},
};

use larder_sqlite::Attempt;
use larder_storage::{Digest, Key};

use super::{Change, Object, Page, Removed, Totals, View};
use crate::{Id, Source, backend::Known, row::Row};

/// Records that live as long as this value.
#[derive(Debug, Default)]
pub(crate) struct Memory(RwLock<Records>);

#[derive(Debug, Default)]
struct Records {
    rows: BTreeMap<Id, Arc<Row>>,
    /// Of each provenance, for each kind.
    by_key: HashMap<Digest, Vec<Arc<Row>>>,
    /// How many records have each payload, and its length.
    payloads: HashMap<Digest, (u64, u64)>,
    children: HashMap<Source, BTreeSet<Id>>,
}

impl Memory {
    pub(super) fn read<T>(&self, work: impl FnOnce(&dyn View) -> Attempt<T>) -> Attempt<T> {
        work(&*self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change<T>(&self, work: impl FnOnce(&mut dyn Change) -> Attempt<T>) -> Attempt<T> {
        work(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Records {
    fn release(&mut self, payload: &Digest) {
        if let Some((uses, _)) = self.payloads.get_mut(payload) {
            *uses -= 1;
            if *uses == 0 {
                self.payloads.remove(payload);
            }
        }
    }

    fn filtered(&self, wanted: impl Fn(&Row) -> bool) -> impl Iterator<Item = &Arc<Row>> {
        self.rows.values().filter(move |row| wanted(row))
    }
}

impl View for Records {
    fn by_id(&self, id: Id) -> Attempt<Option<Arc<Row>>> {
        Ok(self.rows.get(&id).cloned())
    }

    fn by_key(&self, kind: &str, key: &Digest) -> Attempt<Option<Arc<Row>>> {
        let rows = self.by_key.get(key).map_or(&[][..], Vec::as_slice);
        Ok(rows.iter().find(|row| row.kind == kind).cloned())
    }

    fn children(&self, source: &Source) -> Attempt<Vec<Id>> {
        Ok(self.children.get(source).into_iter().flatten().copied().collect())
    }

    fn is_used(&self, payload: &Digest) -> Attempt<bool> {
        Ok(self.payloads.contains_key(payload))
    }

    fn page(&self, kind: Option<&str>, after: &[u8], limit: usize) -> Attempt<Page> {
        let after = <[u8; 16]>::try_from(after).map(Id::from_bytes);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let wanted =
            |row: &Row| kind.is_none_or(|kind| row.kind == kind && row.state.has_payload());
        let rows = self.rows.range((start, Bound::Unbounded)).map(|(_, row)| row);
        let rows: Vec<_> = rows.filter(|row| wanted(row)).take(limit).cloned().collect();
        let last = rows.last().map(|row| row.id.as_bytes().to_vec()).unwrap_or_default();
        Ok(Page { rows: rows.into_iter().map(Ok).collect(), last })
    }

    fn of_operation(&self, kind: &str, operation: &str, limit: usize) -> Attempt<Vec<Arc<Row>>> {
        let is_of = |row: &Row| {
            let provenance = row.provenance().ok().flatten();
            row.kind == kind && provenance.is_some_and(|it| it.operation() == operation)
        };
        Ok(self.rows.values().rev().filter(|row| is_of(row)).take(limit).cloned().collect())
    }

    fn tagged(&self, tag: &str) -> Attempt<Vec<Id>> {
        Ok(self.filtered(|row| row.tags.contains(tag)).map(|row| row.id).collect())
    }

    fn count(&self, kind: &str) -> Attempt<u64> {
        Ok(self.filtered(|row| row.kind == kind && row.state.has_payload()).count() as u64)
    }

    fn totals(&self) -> Attempt<Totals> {
        let (mut kinds, mut without) = (BTreeMap::<String, u64>::new(), 0);
        for row in self.rows.values() {
            if row.state.has_payload() {
                *kinds.entry(row.kind.to_string()).or_default() += 1;
            } else {
                without += 1;
            }
        }
        let payloads = self.payloads.len() as u64;
        let bytes = self.payloads.values().map(|(_, len)| len).sum();
        Ok(Totals { kinds: kinds.into_iter().collect(), without, payloads, bytes })
    }

    fn known(&self) -> Attempt<HashMap<Key, Known>> {
        Ok(HashMap::new())
    }

    fn is_behind(&self, _: Id) -> Attempt<bool> {
        Ok(false)
    }

    fn is_unread(&self) -> Attempt<bool> {
        Ok(false)
    }

    fn place(&self, _: Id) -> Attempt<Option<Key>> {
        Ok(None)
    }

    fn behind(&self) -> Attempt<Vec<Id>> {
        Ok(Vec::new())
    }
}

impl Change for Records {
    fn put(&mut self, row: &Row, _: Object) -> Attempt<()> {
        let sources = row.sources()?;
        let content = &row.content;
        if row.state.has_payload() {
            self.payloads.entry(content.payload).or_insert((0, content.payload_len)).0 += 1;
        }
        self.remove(row.id)?;
        let row = Arc::new(row.clone());
        if let Some(key) = row.key {
            if let Some(other) = self.by_key(&row.kind, &key)? {
                self.remove(other.id)?;
            }
            self.by_key.entry(key).or_default().push(Arc::clone(&row));
        }
        for source in sources {
            self.children.entry(source).or_default().insert(row.id);
        }
        self.rows.insert(row.id, row);
        Ok(())
    }

    fn remove(&mut self, id: Id) -> Attempt<Option<Removed>> {
        let Some(row) = self.rows.remove(&id) else { return Ok(None) };
        if let Some(Entry::Occupied(mut rows)) = row.key.map(|key| self.by_key.entry(key)) {
            rows.get_mut().retain(|other| other.id != id);
            if rows.get().is_empty() {
                rows.remove();
            }
        }
        for source in row.sources()? {
            if let Entry::Occupied(mut children) = self.children.entry(source) {
                children.get_mut().remove(&id);
                if children.get().is_empty() {
                    children.remove();
                }
            }
        }
        if row.state.has_payload() {
            self.release(&row.content.payload);
        }
        Ok(Some(Removed { place: None, payload: Some(row.content.payload) }))
    }

    fn clear(&mut self) -> Attempt<()> {
        *self = Self::default();
        Ok(())
    }
    fn set_read(&mut self) -> Attempt<()> {
        Ok(())
    }
}
