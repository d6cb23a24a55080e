use std::sync::Arc;

use larder_storage::{
    Digest, Entry, Error, ErrorKind, Key, Object, PutIf, Result, Storage, Version,
};

use crate::row::{PLACES, Row, place_of};

/// Records as objects, `records/<2 digits>/<64 digits>`, named by their kind and key, or by their id where they have no
/// key: what an index can be made from again, and what another machine finds.
#[derive(Clone, Debug)]
pub(crate) struct Published(Arc<dyn Storage>);

/// Whose record is there.
pub(crate) enum First {
    Ours,
    /// Of somebody who came first.
    Theirs(Box<Row>),
}

impl Published {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self(storage)
    }

    /// Whether its clock is that of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.0.local_root().is_some()
    }

    /// The record of a provenance.
    pub(crate) fn find(&self, kind: &str, key: &Digest) -> Result<Option<Row>> {
        self.load(&place_of(kind, key)?)
    }

    pub(crate) fn load(&self, place: &Key) -> Result<Option<Row>> {
        let Some(object) = self.0.get(place)? else { return Ok(None) };
        read(&object.into_bytes(), place).map(Some).map_err(|error| error.at_key(place))
    }

    /// Writes the record of a provenance that has none, or one that is damaged.
    pub(crate) fn create(&self, row: &Row) -> Result<First> {
        let place = row.place()?;
        let mut condition = PutIf::Absent;
        loop {
            match self.put(row, condition) {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                put => return put.map(|()| First::Ours),
            }
            // One that is gone meanwhile may come again.
            condition = match self.0.get(&place)? {
                None => PutIf::Absent,
                Some(object) => match read(object.bytes(), &place) {
                    Ok(theirs) => return Ok(First::Theirs(Box::new(theirs))),
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        PutIf::Version(object.version().clone())
                    }
                    Err(error) => return Err(error.at_key(&place)),
                },
            };
        }
    }

    pub(crate) fn replace(&self, row: &Row) -> Result<()> {
        self.put(row, PutIf::Always)
    }

    fn put(&self, row: &Row, when: PutIf) -> Result<()> {
        self.0.put(&row.place()?, row.to_text()?.into(), when)
    }

    /// What lies there, if it is damaged; one of a newer version is sound.
    pub(crate) fn damaged(&self, place: &Key) -> Result<Option<Object>> {
        let object = self.0.get(place)?;
        let is_damaged = |object: &Object| {
            read(object.bytes(), place).is_err_and(|error| error.kind() == ErrorKind::Corrupt)
        };
        Ok(object.filter(is_damaged))
    }

    /// Writes the record in the place of what was seen there; whether that was still there.
    pub(crate) fn restore(&self, row: &Row, seen: &Version) -> Result<bool> {
        match self.put(row, PutIf::Version(seen.clone())) {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            put => put.map(|()| true),
        }
    }

    pub(crate) fn remove(&self, place: &Key) -> Result<()> {
        self.0.remove(place).map(drop)
    }

    /// What has the name of a record.
    pub(crate) fn list(&self) -> Result<impl Iterator<Item = Result<Entry>>> {
        let is_record = |entry: &Result<Entry>| {
            entry.as_ref().map_or(true, |entry| entry.key.name().parse::<Digest>().is_ok())
        };
        Ok(self.0.list(Some(&Key::new(PLACES)?))?.filter(is_record))
    }
}

/// The record that lies in this place, if it is readable as a whole, and not that of another place.
fn read(text: &[u8], place: &Key) -> Result<Row> {
    let text = str::from_utf8(text).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "the text of the record is damaged").with_source(error)
    })?;
    let row = Row::from_text(text)?;
    row.checked_provenance()?;
    if row.place()? == *place {
        Ok(row)
    } else {
        Err(Error::new(ErrorKind::Corrupt, "is the record of something else"))
    }
}
