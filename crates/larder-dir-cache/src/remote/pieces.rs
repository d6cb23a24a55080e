use std::io::{self, Read};

use blake3::Hasher;
use larder_storage::{Digest, Error, ReadAt, Result};

/// How much is read at once: large enough for one request to be worth its time.
const PIECE: u64 = 4 << 20;

/// An object, read from its start to its end by pieces and hashed on the way.
#[derive(Debug)]
pub(super) struct Pieces {
    object: Box<dyn ReadAt>,
    /// Where the next piece starts.
    next: u64,
    piece: Vec<u8>,
    /// How much of the piece was given out.
    given: usize,
    hasher: Hasher,
    /// What the storage failed with.
    failure: Option<Error>,
}

impl Pieces {
    pub(super) fn new(object: Box<dyn ReadAt>) -> Self {
        let (piece, hasher) = (Vec::new(), Hasher::new());
        Self { object, next: 0, piece, given: 0, hasher, failure: None }
    }

    /// What the storage failed with, if it did.
    pub(super) fn check(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// The digest of the whole object; what was not read yet is read now.
    pub(super) fn digest(mut self) -> Result<Digest> {
        while self.load()? {}
        Ok(Digest::from(*self.hasher.finalize().as_bytes()))
    }

    /// The next piece; `false` at the end.
    fn load(&mut self) -> Result<bool> {
        let len = PIECE.min(self.object.len() - self.next);
        if len == 0 {
            return Ok(false);
        }
        self.piece.resize(usize::try_from(len).unwrap_or_default(), 0);
        self.given = 0;
        self.object.read_at(self.next, &mut self.piece)?;
        self.hasher.update(&self.piece);
        self.next += len;
        Ok(true)
    }
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len()
            && let Err(error) = self.load()
        {
            self.piece.clear();
            self.failure = Some(error);
            return Err(io::Error::other("the storage failed"));
        }
        let read = (&self.piece[self.given..]).read(buf)?;
        self.given += read;
        Ok(read)
    }
}
