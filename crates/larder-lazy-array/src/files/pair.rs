use larder_storage::{Error, ErrorKind, ReadAt, Result, crc32c_append};

use crate::{
    Element,
    element::{DType, Endian},
    memory::Memory,
    npy::{Header, LARGE},
    origin::{FileId, Origin, Seen},
    sidecar::{Sidecar, Stamp},
};

/// A published array, open, with a header that fits its sidecar.
pub(crate) struct Pair {
    pub(crate) header: Header,
    sidecar: Sidecar,
    file: Box<dyn ReadAt>,
}

impl Pair {
    pub(super) fn new(sidecar: Sidecar, file: Box<dyn ReadAt>) -> Result<Self> {
        let header = Header::read(&*file)?;
        if !sidecar.fits(&header, file.len()) {
            let message = "the array is not the one that its sidecar describes";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Self { header, sidecar, file })
    }

    /// Brings the elements into memory: large ones by mapping them, unchecked unless that is asked for, all others by
    /// reading and checking them.
    pub(crate) fn load<A: Element>(&self, checked: bool) -> Result<(Memory<A>, Origin)> {
        let file = self.id();
        if let Some(memory) = self.map() {
            let stamp = if checked { Some(self.checksum()?) } else { None };
            return Ok((memory, Origin { stamp, file, attempt: None }));
        }
        let (elements, stamp) = self.read()?;
        Ok((Memory::heap(elements), Origin { stamp: Some(stamp), file, attempt: None }))
    }

    /// `None` where the elements are better read, or have to be.
    fn map<A: Element>(&self) -> Option<Memory<A>> {
        let Header { endian, data_start, ref layout, .. } = self.header;
        let file = self.file.file()?;
        let fits = endian == Endian::NATIVE && layout.bytes::<A>() >= LARGE;
        fits.then(|| Memory::map(file, data_start, layout.len()))??.ok()
    }

    /// Which file this is, as far as that is known without reading it.
    pub(crate) fn origin(&self) -> Result<Origin> {
        let file = self.id();
        // Without a file there is its stamp, which has to be looked for where the sidecar names several.
        let stamp = match (&file, self.sidecar.only_fit(&self.header, self.file.len())) {
            (Some(_), _) => None,
            (None, Some(stamp)) => Some(stamp.clone()),
            (None, None) => Some(self.checksum()?),
        };
        Ok(Origin { stamp, file, attempt: None })
    }

    fn id(&self) -> Option<FileId> {
        FileId::of(self.file.file()?.file())
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen { newest: self.sidecar.newest().cloned(), file: self.id() }
    }

    /// Reads the whole array and checks it.
    fn read<A: Element>(&self) -> Result<(Vec<A>, Stamp)> {
        let (elements, crc) =
            self.header.payload(&*self.file).read(self.header.layout.len(), self.header.crc32c)?;
        Ok((elements, self.stamp(crc)?))
    }

    /// Reads and checks the whole file, and keeps nothing of it.
    pub(crate) fn checksum(&self) -> Result<Stamp> {
        self.checked(&mut |_| Ok(()))
    }

    /// Gives the whole file part by part, and says in the end whether it was sound.
    pub(crate) fn checked(&self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Stamp> {
        let mut crc = 0;
        let mut buffer = vec![0; self.file.len().min(1 << 20) as usize];
        let mut at = 0;
        while at < self.file.len() {
            let part = &mut buffer[..(self.file.len() - at).min(1 << 20) as usize];
            self.file.read_at(at, part)?;
            crc = crc32c_append(crc, part);
            each(part)?;
            at += part.len() as u64;
        }
        self.stamp(crc)
    }

    pub(crate) fn check_dtype(&self, expected: DType) -> Result<()> {
        let found = self.header.dtype;
        if found == expected {
            return Ok(());
        }
        let message = format!("holds elements of type {found}, not {expected}");
        Err(Error::new(ErrorKind::Invalid, message))
    }

    fn stamp(&self, crc: u32) -> Result<Stamp> {
        if self.sidecar.accepts(self.file.len(), crc) {
            return Ok(Stamp::new(self.header.dtype, &self.header.layout, self.file.len(), crc));
        }
        let message = "the array's checksum is not the one in its sidecar";
        Err(Error::new(ErrorKind::Corrupt, message))
    }
}
