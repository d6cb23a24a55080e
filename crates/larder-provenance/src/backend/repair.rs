//! Moving what is damaged out of the way.

use larder_storage::{Digest, ErrorKind, Key, PutIf, Result, time};
use serde::Serialize;

use super::Backend;
use crate::{
    Refreshed,
    blobs::{Blobs, Found},
    published::Published,
};

/// What [`repair`](crate::ProvenanceStore::repair) did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// Where the damaged records and payloads were put: keys in the storage.
    pub quarantined: Vec<String>,
    /// How many records were written anew, as the index had them.
    pub restored: u64,
    /// What making the index anew found.
    pub reindexed: Refreshed,
}

impl Backend {
    pub(crate) fn repair(&self) -> Result<RepairReport> {
        let aside = Key::new(format!("quarantine/{}", time::now_ns()))?;
        let mut done = RepairReport::default();
        if let Some(published) = &self.published {
            self.repair_records(published, &aside, &mut done)?;
        }
        self.repair_payloads(&aside, &mut done)?;
        done.reindexed = self.reindex()?;
        Ok(done)
    }

    fn repair_records(
        &self,
        published: &Published,
        aside: &Key,
        done: &mut RepairReport,
    ) -> Result<()> {
        let known = self.index.read(|view| view.known())?;
        for entry in published.list()? {
            let place = entry?.key;
            if !is_damaged(published, &place)? {
                continue;
            }
            let _turn = self.turn(&place)?;
            // It may have been written anew meanwhile.
            if !is_damaged(published, &place)? {
                continue;
            }
            done.quarantined.extend(self.copy(&place, aside)?);
            let row = known.get(&place).map(|known| self.index.read(|view| view.by_id(known.id)));
            match row.transpose()?.flatten() {
                Some(row) => {
                    published.replace(&row)?;
                    done.restored += 1;
                }
                None => published.remove(&place)?,
            }
        }
        Ok(())
    }

    fn repair_payloads(&self, aside: &Key, done: &mut RepairReport) -> Result<()> {
        let is_damaged = |payload: &Digest| Ok(matches!(self.blobs.find(payload)?, Found::Damaged));
        for blob in self.blobs.list()? {
            let (payload, _) = blob?;
            if !is_damaged(&payload)? {
                continue;
            }
            // Meanwhile no record is made that would have it.
            let moved = self.index.change(|_| {
                if !is_damaged(&payload)? {
                    return Ok(None);
                }
                let moved = self.copy(&Blobs::key(&payload)?, aside)?;
                self.blobs.remove(&payload)?;
                Ok(moved)
            })?;
            done.quarantined.extend(moved);
        }
        Ok(())
    }

    /// Copies an object below `aside`, and says where it is there.
    fn copy(&self, key: &Key, aside: &Key) -> Result<Option<String>> {
        let storage = self.blobs.storage();
        let Some(object) = storage.get(key)? else { return Ok(None) };
        let target = aside.join(key.as_str())?;
        storage.put(&target, object.into_bytes(), PutIf::Absent)?;
        Ok(Some(target.to_string()))
    }
}

fn is_damaged(published: &Published, place: &Key) -> Result<bool> {
    match published.load(place) {
        // One of a newer version is sound.
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::Format => Ok(false),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(true),
        Err(error) => Err(error),
    }
}
