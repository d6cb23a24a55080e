//! Moving what is damaged out of the way.

use bytes::Bytes;
use larder_storage::{Key, PutIf, Result, time};
use serde::Serialize;

use super::{Backend, Known};
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
        let entries: Vec<_> = published.list()?.collect::<Result<_>>()?;
        let damaged = self.each(&entries, |entry| {
            let place = &entry.key;
            Ok(published.damaged(place)?.map(|_| place.clone()))
        })?;
        for place in damaged.into_iter().flatten() {
            let _turn = self.turn(&place)?;
            // It may have been written anew meanwhile.
            let Some(object) = published.damaged(&place)? else { continue };
            done.quarantined.push(self.copy(&place, object.bytes(), aside)?);
            // One that is damaged there too is not known.
            let row = |known: &Known| self.index.read(|view| view.by_id(known.id)).ok().flatten();
            match known.get(&place).and_then(row) {
                Some(row) => {
                    done.restored += u64::from(published.restore(&row, object.version())?);
                }
                None if published.damaged(&place)?.is_some() => published.remove(&place)?,
                None => {}
            }
        }
        Ok(())
    }

    fn repair_payloads(&self, aside: &Key, done: &mut RepairReport) -> Result<()> {
        for blob in self.blobs.list()? {
            let (payload, _) = blob?;
            let Found::Damaged(bytes) = self.blobs.find(&payload)? else { continue };
            done.quarantined.push(self.copy(&Blobs::key(&payload)?, &bytes, aside)?);
            // Meanwhile no record is made here that would have it.
            self.index.change(|_| {
                if matches!(self.blobs.find(&payload)?, Found::Damaged(_)) {
                    self.blobs.remove(&payload)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Writes what was found below `aside`, and says where it is there.
    fn copy(&self, key: &Key, found: &Bytes, aside: &Key) -> Result<String> {
        let target = aside.join(key.as_str())?;
        self.blobs.storage().put(&target, found.clone(), PutIf::Absent)?;
        Ok(target.to_string())
    }
}
