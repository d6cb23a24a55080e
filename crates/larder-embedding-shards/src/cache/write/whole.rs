use std::{
    io::{self, Write},
    sync::Arc,
};

use arrow_array::RecordBatch;
use larder_storage::{Key, PutIf, Result, Storage, Upload};

use crate::{WindowRecord, shard::Memory};

/// A shard that is put whole, for a storage that takes a condition with nothing else.
#[derive(Debug)]
pub(super) struct Whole {
    storage: Arc<dyn Storage>,
    path: Key,
    file: Memory,
}

impl Whole {
    pub(super) fn new(
        storage: &Arc<dyn Storage>,
        path: &Key,
        records: &[WindowRecord],
        extra: Option<&RecordBatch>,
    ) -> Result<Self> {
        let file = Memory::for_shard(records, extra)?;
        Ok(Self { storage: Arc::clone(storage), path: path.clone(), file })
    }
}

impl Write for Whole {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Upload for Whole {
    fn commit(self: Box<Self>, when: PutIf) -> Result<()> {
        self.storage.put(&self.path, self.file.into_bytes(), when)
    }
}
