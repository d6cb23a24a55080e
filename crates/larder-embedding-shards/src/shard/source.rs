use std::{
    io::{self, BufReader, Read},
    sync::{Arc, Mutex, PoisonError},
};

use larder_storage::{Bytes, Error, ErrorKind, PublishedFile, ReadAt};
use parquet::{
    errors::ParquetError,
    file::reader::{ChunkReader, Length},
};

/// A storage's reader as the Parquet library wants it. It keeps the storage's own error, whose kind the library's
/// errors would lose.
#[derive(Clone, Debug)]
pub(super) struct Source {
    reader: Arc<dyn ReadAt>,
    failure: Arc<Mutex<Option<Error>>>,
}

impl Source {
    pub(super) fn new(reader: Arc<dyn ReadAt>) -> Self {
        Self { reader, failure: Arc::default() }
    }

    /// The storage's first error, if it failed.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fill(&self, start: u64, buf: &mut [u8]) -> io::Result<()> {
        self.reader.read_at(start, buf).map_err(|error| {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            io::Error::other("the storage failed")
        })
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.reader.len()
    }
}

impl ChunkReader for Source {
    type T = BufReader<Cursor>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Cursor { source: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        // Checked before anything is allocated: a damaged file may ask for any length.
        if start.checked_add(length as u64).is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes from {start} on lie outside the file"
            )));
        }
        let mut bytes = vec![0; length];
        self.fill(start, &mut bytes)?;
        Ok(bytes.into())
    }
}

/// Reads on from a place in the file.
#[derive(Debug)]
pub(super) struct Cursor {
    source: Source,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.source.len().saturating_sub(self.at);
        let count = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.source.fill(self.at, &mut buf[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Bytes that are in memory, as a storage's reader.
#[derive(Debug)]
pub(crate) struct InMemory(pub(crate) Bytes);

impl ReadAt for InMemory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> larder_storage::Result<()> {
        let start = usize::try_from(offset).ok();
        let found = start.and_then(|start| self.0.get(start..start.checked_add(buf.len())?));
        let outside = || Error::new(ErrorKind::Invalid, "the range ends after the bytes");
        buf.copy_from_slice(found.ok_or_else(outside)?);
        Ok(())
    }

    fn is_current(&self) -> bool {
        true
    }

    fn file(&self) -> Option<&PublishedFile> {
        None
    }
}
