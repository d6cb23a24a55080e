//! BigWig: values of stretches of chromosomes, compressed, with an index.
//!
//! Source: Kent et al., BigWig and BigBed, Bioinformatics 26 (2010), its supplement, and `bbiFile.h` of the UCSC tools. Only
//! what has the values is read: the tree of the chromosomes, the index, and the sections that it names.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufReader, Read, Seek},
    path::Path,
};

use flate2::read::ZlibDecoder;
use larder_storage::{Error, ErrorKind, Result};

use super::{Chroms, Run, Runs, SignalTrack, Signals, TrackLabel};

mod source;
#[cfg(test)]
mod tests;

use source::{Fields, Source, damaged};

const MAGIC: u32 = 0x888F_FC26;
const CHROMS_MAGIC: u32 = 0x78CA_8C91;
const INDEX_MAGIC: u32 = 0x2468_ACE0;

/// Bytes of the header of a file, of the tree of its chromosomes, of its index and of a section.
const HEADER: u64 = 64;
const CHROMS_HEADER: u64 = 32;
const INDEX_HEADER: u64 = 48;
const SECTION_HEADER: u64 = 24;

/// The most bytes that a section has: as many values as 16 bits count, of 12 bytes.
const MAX_SECTION: u64 = SECTION_HEADER + 12 * u16::MAX as u64;

impl SignalTrack {
    /// Reads the BigWig file at `path`, as [`read_bigwig`](Self::read_bigwig).
    ///
    /// # Errors
    ///
    /// `NotFound` or `Io` where it cannot be opened; otherwise as [`read_bigwig`](Self::read_bigwig).
    pub fn open_bigwig(
        path: impl AsRef<Path>,
        label: impl Into<TrackLabel>,
    ) -> Result<(Self, Chroms)> {
        let path = path.as_ref();
        let file =
            File::open(path).map_err(|error| Error::io(error, "cannot be opened").at_path(path))?;
        Self::read_bigwig(BufReader::new(file), label).map_err(|error| error.at_path(path))
    }

    /// Reads all values of a BigWig file, as [runs](Signals::Runs), and the chromosomes that it is about. The values are
    /// exact; its summaries at lower resolutions are not read.
    ///
    /// # Errors
    ///
    /// `Format` where it is no BigWig file; `Corrupt` where it is damaged or truncated, as far as its checksums and its
    /// structure tell; `Io` where the reader fails.
    pub fn read_bigwig(
        reader: impl Read + Seek,
        label: impl Into<TrackLabel>,
    ) -> Result<(Self, Chroms)> {
        let mut source = Source::new(reader, MAGIC)?;
        let header = Header::read(&mut source)?;
        let mut found = Found::default();
        read_chroms(&mut source, header.chroms, &mut found)?;
        for (offset, len) in read_index(&mut source, header.index)? {
            let section = source.part(offset, len)?;
            let section = if header.is_compressed { inflate(&section)? } else { section };
            found.add(source.fields(&section))?;
        }
        let Found { runs, lens, .. } = found;
        let chroms = runs.iter().map(|runs| runs.chrom.clone()).zip(lens).collect();
        let runs = runs.into_iter().filter(|runs| !runs.runs.is_empty()).collect();
        Ok((Self { label: label.into(), signals: Signals::Runs(runs) }, chroms))
    }
}

/// Where the parts of a file are.
struct Header {
    chroms: u64,
    index: u64,
    is_compressed: bool,
}

impl Header {
    fn read<R: Read + Seek>(source: &mut Source<R>) -> Result<Self> {
        let bytes = source.part(0, HEADER)?;
        let mut fields = source.fields(&bytes);
        let _magic = fields.u32()?;
        let version = fields.u16()?;
        if !(1..=4).contains(&version) {
            let message = format!("the BigWig file has version {version}, and 1 to 4 are known");
            return Err(Error::new(ErrorKind::Format, message));
        }
        let _zoom_levels = fields.u16()?;
        let chroms = fields.u64()?;
        let _data = fields.u64()?;
        let index = fields.u64()?;
        // Numbers of fields, which only BigBed has; where its schema and the summary of all values are.
        fields.skip(2 + 2 + 8 + 8)?;
        Ok(Self { chroms, index, is_compressed: fields.u32()? > 0 })
    }
}

/// The chromosomes of a file, and the runs of each one that were read.
#[derive(Default)]
struct Found {
    places: HashMap<u32, usize>,
    runs: Vec<Runs>,
    lens: Vec<u64>,
}

fn read_chroms<R: Read + Seek>(source: &mut Source<R>, at: u64, found: &mut Found) -> Result<()> {
    let header = source.part(at, CHROMS_HEADER)?;
    let mut fields = source.fields(&header);
    let (magic, _block, key_len, value_len) =
        (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
    if magic != CHROMS_MAGIC || value_len != 8 {
        return Err(damaged("the tree of its chromosomes is not where its header says"));
    }
    let mut names = HashSet::new();
    walk(source, at + CHROMS_HEADER, u64::from(key_len), 8, |mut fields| {
        let key = fields.bytes(key_len as usize)?;
        let name = str::from_utf8(key).ok().map(|name| name.trim_end_matches('\0'));
        let name = name.filter(|name| !name.is_empty() && names.insert((*name).to_owned()));
        let name = name.ok_or_else(|| damaged("a chromosome has no name of its own"))?;
        found.places.insert(fields.u32()?, found.runs.len());
        found.runs.push(Runs { chrom: name.to_owned(), runs: Vec::new() });
        found.lens.push(fields.u32()?.into());
        Ok(())
    })?;
    if found.places.len() != found.runs.len() {
        return Err(damaged("two chromosomes have the same number"));
    }
    Ok(())
}

/// The offset and the length of each section, in the order of the index.
fn read_index<R: Read + Seek>(source: &mut Source<R>, at: u64) -> Result<Vec<(u64, u64)>> {
    let header = source.part(at, INDEX_HEADER)?;
    if source.fields(&header).u32()? != INDEX_MAGIC {
        return Err(damaged("its index is not where its header says"));
    }
    let mut sections = Vec::new();
    // A node says first which bases are below it.
    walk(source, at + INDEX_HEADER, 16, 16, |mut fields| {
        fields.skip(16)?;
        sections.push((fields.u64()?, fields.u64()?));
        Ok(())
    })?;
    Ok(sections)
}

/// Gives each item of the leaves of a tree to `leaf`, in their order. An item has `key_len` bytes, and then in a leaf
/// `value_len` more, in another node the offset of a node below.
fn walk<R: Read + Seek>(
    source: &mut Source<R>,
    root: u64,
    key_len: u64,
    value_len: u64,
    mut leaf: impl FnMut(Fields<'_>) -> Result<()>,
) -> Result<()> {
    const NODE_HEADER: u64 = 4;
    let (mut to_do, mut seen) = (vec![root], HashSet::new());
    while let Some(at) = to_do.pop() {
        if !seen.insert(at) {
            return Err(damaged("a tree in it has a node twice"));
        }
        let header = source.part(at, NODE_HEADER)?;
        let mut fields = source.fields(&header);
        let (is_leaf, _reserved, count) = (fields.u8()? == 1, fields.u8()?, fields.u16()?);
        let item_len = key_len + if is_leaf { value_len } else { 8 };
        let items = source.part(at + NODE_HEADER, item_len * u64::from(count))?;
        let items = items.chunks_exact(item_len as usize).map(|item| source.fields(item));
        if is_leaf {
            items.into_iter().try_for_each(&mut leaf)?;
        } else {
            let below =
                items.map(|mut fields| fields.skip(key_len as usize).and_then(|()| fields.u64()));
            to_do.extend(below.rev().collect::<Result<Vec<_>>>()?);
        }
    }
    Ok(())
}

fn inflate(section: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = ZlibDecoder::new(section).take(MAX_SECTION + 1).read_to_end(&mut bytes);
    read.map_err(|error| damaged("a section cannot be decompressed").with_source(error))?;
    Ok(bytes)
}

impl Found {
    /// Adds the values of a section.
    fn add(&mut self, mut section: Fields<'_>) -> Result<()> {
        let (chrom, mut start, _end) = (section.u32()?, section.u32()?, section.u32()?);
        let (step, span, kind) = (section.u32()?, section.u32()?, section.u8()?);
        let (_reserved, count) = (section.u8()?, section.u16()?);
        let place = *self
            .places
            .get(&chrom)
            .ok_or_else(|| damaged("a section is of a chromosome that is not there"))?;
        for index in 0..count {
            let mut end = None;
            match kind {
                1 => (start, end) = (section.u32()?, Some(section.u32()?)),
                2 => start = section.u32()?,
                3 if index > 0 => start = start.saturating_add(step),
                3 => {}
                _ => return Err(damaged("a section is of a kind that is not known")),
            }
            let end = end.map_or(u64::from(start) + u64::from(span), u64::from);
            let value = f64::from(section.f32()?);
            self.push(place, Run { start: start.into(), end, value })?;
        }
        Ok(())
    }

    fn push(&mut self, place: usize, run: Run) -> Result<()> {
        let Runs { chrom, runs } = &mut self.runs[place];
        let end_before = runs.last().map_or(0, |run| run.end);
        if run.start < end_before || run.end < run.start || run.end > self.lens[place] {
            let Run { start, end, .. } = run;
            return Err(damaged(&format!(
                "the value of {chrom:?}:{start}-{end} is out of order, or not on its chromosome"
            )));
        }
        // A value of no base is no base's value.
        if run.start < run.end {
            runs.push(run);
        }
        Ok(())
    }
}
