//! How a result becomes a record.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use larder_storage::{Digest, Error, ErrorKind, Result};

use super::{
    Backend, put_all,
    states::{doubted, state_here},
};
use crate::{
    Encoded, State,
    index::Object,
    published::First,
    row::{Content, Keyed, Row, place_of},
};

/// What became of a record of another store.
pub(crate) enum Taken {
    Added,
    /// This one is here already.
    Found(Arc<Row>),
}

/// What a caller stores.
pub(crate) struct Draft<'a> {
    pub(crate) kind: &'static str,
    pub(crate) version: u32,
    pub(crate) encoded: &'a Encoded,
    pub(crate) seen: Vec<Option<Digest>>,
    pub(crate) cost: Option<Duration>,
}

impl Backend {
    /// Stores a result, in the place of the one of the record `stale`; returns its record.
    ///
    /// # Errors
    ///
    /// `NonDeterministic` where the provenance has another result already.
    pub(crate) fn keep(
        &self,
        draft: Draft<'_>,
        keyed: Option<&Keyed>,
        stale: Option<&Row>,
    ) -> Result<Arc<Row>> {
        let Encoded { bytes, summary } = draft.encoded;
        let payload = Digest::of(bytes);
        self.blobs.store(&payload, bytes)?;
        let content = Content {
            version: draft.version,
            payload,
            payload_len: bytes.len() as u64,
            // As it is when it is read back.
            summary: summary.trim().to_owned(),
            cost_ns: draft.cost.map(|cost| u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX)),
            seen: draft.seen,
        };
        let kept = match keyed {
            None => self.add(Row::new(draft.kind, None, content), bytes),
            Some(keyed) => self.keep_once(draft.kind, keyed, content, stale, bytes),
        };
        self.publish_behind()?;
        let is_not_taken = match &kept {
            Ok(row) => row.content.payload != payload,
            // After another error the record may be on the storage already.
            Err(error) => error.kind() == ErrorKind::NonDeterministic,
        };
        if is_not_taken {
            // What is left is harmless, and `verify` counts it.
            let _ = self.reap(&payload);
        }
        kept
    }

    fn keep_once(
        &self,
        kind: &'static str,
        keyed: &Keyed,
        content: Content,
        stale: Option<&Row>,
        bytes: &Bytes,
    ) -> Result<Arc<Row>> {
        let _turn = self.turn(&place_of(kind, &keyed.key)?)?;
        loop {
            let Some(known) = self.known(kind, &keyed.key)? else {
                let row = Row::new(kind, Some(keyed), content.clone());
                if let First::Theirs(theirs) = self.create(&row)? {
                    if self.take_up(&theirs, Object::Same(None))? {
                        continue;
                    }
                    // It bears the id of another record, and so can be none.
                    self.write(&row)?;
                }
                return self.enter(row, Some(bytes));
            };
            let is_lost = stale.is_some_and(|it| it.has_content_of(&known));
            if known.state == State::Live && !is_lost {
                let is_same = content.is_same(&known.content);
                return if is_same { Ok(known) } else { Err(non_deterministic(&known, keyed)) };
            }
            if let Some(row) = self.replace(&known, content.clone(), bytes)? {
                return Ok(row);
            }
        }
    }

    /// Writes a record to the storage, where there is one, unless somebody else's is there.
    fn create(&self, row: &Row) -> Result<First> {
        self.published.as_ref().map_or(Ok(First::Ours), |published| published.create(row))
    }

    /// Writes a record to the storage, where there is one, whatever is there.
    fn write(&self, row: &Row) -> Result<()> {
        self.published.as_ref().map_or(Ok(()), |published| published.replace(row))
    }

    /// Adds a record that has no provenance.
    fn add(&self, row: Row, bytes: &Bytes) -> Result<Arc<Row>> {
        let _turn = self.turn(&row.place()?)?;
        self.write(&row)?;
        self.enter(row, Some(bytes))
    }

    /// Puts a record that is on the storage into the index. Where an input has changed since it was looked at, it is doubtful.
    fn enter(&self, row: Row, bytes: Option<&Bytes>) -> Result<Arc<Row>> {
        let published = row.state;
        let row = self.index.change(|index| {
            bytes.map_or(Ok(()), |bytes| self.ensure(&row, bytes))?;
            let row = row.in_state(state_here(index, &row)?);
            let is_same = row.state == published;
            index.put(&row, if is_same { Object::Same(None) } else { Object::Behind })?;
            Ok(row)
        })?;
        Ok(Arc::new(row))
    }

    /// Gives a record another content; `None` where it is not as it was any more. What was made from another payload
    /// is doubtful then.
    fn replace(&self, known: &Row, content: Content, bytes: &Bytes) -> Result<Option<Arc<Row>>> {
        let row = known.with(content);
        let changes_payload = row.content.payload != known.content.payload;
        let kept = self.index.change(|index| {
            if index.by_id(row.id)?.as_deref() != Some(known) {
                return Ok(None);
            }
            self.ensure(&row, bytes)?;
            let doubtful = if changes_payload { doubted(index, row.id)? } else { Vec::new() };
            put_all(index, &doubtful)?;
            let row = row.in_state(state_here(index, &row)?);
            index.put(&row, Object::Behind)?;
            Ok(Some(row))
        })?;
        if changes_payload && kept.is_some() {
            // What is left is harmless, and `verify` counts it.
            let _ = self.reap(&known.content.payload);
        }
        Ok(kept.map(Arc::new))
    }

    /// Adds a record of another store with its payload, unless it is here.
    pub(crate) fn take(&self, row: &Row, bytes: Option<&Bytes>) -> Result<Taken> {
        if let Some(bytes) = bytes {
            self.blobs.store(&row.content.payload, bytes)?;
        }
        let taken = self.take_in_turn(row, bytes);
        self.publish_behind()?;
        if matches!(taken, Ok(Taken::Found(_))) {
            // What is left is harmless, and `verify` counts it.
            let _ = self.reap(&row.content.payload);
        }
        taken
    }

    fn take_in_turn(&self, row: &Row, bytes: Option<&Bytes>) -> Result<Taken> {
        let _turn = self.turn(&row.place()?)?;
        let by_key = match &row.key {
            Some(key) => self.known(&row.kind, key)?,
            None => None,
        };
        let known =
            by_key.map_or_else(|| self.index.read(|view| view.by_id(row.id)), |it| Ok(Some(it)));
        match known? {
            Some(known) if known.key == row.key => return Ok(Taken::Found(known)),
            Some(known) => {
                let message = format!("another record has the id {} here", known.id);
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            None => {}
        }
        match self.create(row)? {
            First::Ours => self.enter(row.clone(), bytes).map(|_| Taken::Added),
            First::Theirs(theirs) => {
                self.take_up(&theirs, Object::Same(None))?;
                Ok(Taken::Found(Arc::from(theirs)))
            }
        }
    }

    /// Writes the payload where somebody has removed it, as long as no record had it.
    fn ensure(&self, row: &Row, bytes: &Bytes) -> Result<()> {
        if self.is_shared() { Ok(()) } else { self.blobs.ensure(&row.content.payload, bytes) }
    }
}

fn non_deterministic(row: &Row, keyed: &Keyed) -> Error {
    let message = format!(
        "{:?} gave another result than record {} has, which is of the same provenance: name what differs in it, \
         or invalidate the record",
        keyed.provenance.operation(),
        row.id
    );
    Error::new(ErrorKind::NonDeterministic, message)
}
