//! Edited arrays that left memory: bare elements in the stage area, gone with the value or swept after a kill.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    sync::{Mutex, PoisonError},
};

use larder_storage::{
    Error, ErrorKind, ReadAt, Result,
    publish::{Stage, StagedPath},
};

use crate::{
    Element,
    element::Endian,
    payload::{self, Payload},
};

/// A file that this process alone knows of, and has open only while it is read.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: StagedPath,
    crc: u32,
}

impl Scratch {
    pub(crate) fn write<A: Element>(stage: &Stage, elements: &[A]) -> Result<Self> {
        let mut file = stage.file()?;
        let crc = payload::write(elements, 0, &mut file)
            .map_err(|error| Error::io(error, "cannot spill the array").at_path(file.path()))?;
        Ok(Self { file: file.close()?, crc })
    }

    pub(crate) fn read<A: Element>(&self, len: usize) -> Result<Vec<A>> {
        let reader = self.open()?;
        let (elements, crc) = payload(&reader).read(len, 0)?;
        if crc == self.crc {
            return Ok(elements);
        }
        let message = "a spilled array is not what was written: the edits in it are lost";
        Err(Error::new(ErrorKind::Corrupt, message).at_path(self.file.path()))
    }

    pub(crate) fn open(&self) -> Result<Reader<'_>> {
        let open = File::open(self.file.path()).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (len, file) = open.map_err(|error| self.failed(error))?;
        Ok(Reader { scratch: self, file: Mutex::new(file), len })
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::io(error, "cannot read a spilled array").at_path(self.file.path())
    }
}

/// The elements of a scratch file.
pub(crate) fn payload<'a>(reader: &'a Reader<'_>) -> Payload<'a> {
    Payload { file: reader, start: 0, endian: Endian::Little }
}

/// A scratch file, open for positioned reads.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    scratch: &'a Scratch,
    file: Mutex<File>,
    len: u64,
}

impl ReadAt for Reader<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(buf));
        read.map_err(|error| self.scratch.failed(error))
    }
}
