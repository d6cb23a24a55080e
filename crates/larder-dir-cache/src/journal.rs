//! Who took and released which lease. Each process appends to a file of its own, which costs one system call and is
//! there after a kill; whoever wants to know the counts adds up in the index what was appended since.
//!
//! A record is 16 bytes: the number of the entry, negative for a release, and the time in nanoseconds since 1970.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use larder_storage::{Error, Result};

use crate::{
    index::{Index, Use},
    settle::is_absent,
    tree::open_regular,
};

const RECORD: usize = 16;
/// A longer one is left to be counted and removed, and another begun.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    segment: Mutex<Option<Segment>>,
}

/// The file of this process; it is locked while it may grow.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    file: File,
    len: u64,
}

/// What is noted of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Access,
    Release,
}

impl Journal {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, segment: Mutex::new(None) }
    }

    /// Appends a record.
    pub(crate) fn note(&self, index: &Index, entry: i64, event: Event, at_ns: i64) -> Result<()> {
        let mut current = self.lock();
        if current.as_ref().is_some_and(|segment| segment.len >= MAX_BYTES) {
            *current = None;
        }
        let segment = match &mut *current {
            Some(segment) => segment,
            none => none.insert(Segment::start(&self.dir, index)?),
        };
        let appended = segment.append(record(entry, event, at_ns));
        if appended.is_err() {
            // A part of a record may be at its end, so nothing may follow.
            *current = None;
        }
        appended
    }

    /// Counts in the index what all processes have noted, and removes the files of dead ones. Where one cannot be read,
    /// the others are counted all the same.
    pub(crate) fn fold(&self, index: &Index) -> Result<()> {
        let journals = index.journals()?.into_iter();
        let folded = journals.map(|(name, folded)| self.fold_one(index, &name, folded));
        folded.fold(Ok(()), Result::and)
    }

    fn fold_one(&self, index: &Index, name: &str, folded: u64) -> Result<()> {
        let path = self.dir.join(name);
        let Some(file) = open(&path)? else {
            self.end_if(&path);
            return index.drop_journal(name);
        };
        // Looked at before it is read: then nothing comes after what is read.
        let is_dead = file.try_lock().is_ok();
        let len = file.metadata().map_err(|error| unread(error, &path))?.len();
        if len / RECORD as u64 * RECORD as u64 > folded {
            index.fold(name, |from| read(&file, from).map_err(|error| unread(error, &path)))?;
        }
        if is_dead {
            remove(&path)?;
            index.drop_journal(name)?;
        }
        Ok(())
    }

    /// Removes files that no index knows: an index that is lost cannot be told what they count.
    pub(crate) fn sweep(&self, index: &Index) -> Result<()> {
        let names = match fs::read_dir(&self.dir) {
            Err(error) if is_absent(&error) => return Ok(()),
            names => names.map_err(|error| unread(error, &self.dir))?,
        };
        for found in names {
            let path = found.map_err(|error| unread(error, &self.dir))?.path();
            let Some(file) = open(&path)? else { continue };
            // One that is free and not in the index is a dead one's; or it is just being made, and then its maker finds
            // that it is gone.
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if file.try_lock().is_ok() && !index.has_journal(name)? {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Ends the file of this process where it is this one, which somebody has removed.
    fn end_if(&self, path: &Path) {
        let mut current = self.lock();
        if current.as_ref().is_some_and(|segment| segment.path == path) {
            *current = None;
        }
    }

    /// Ends the file of this process, so that it is removed when it is counted.
    pub(crate) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Segment>> {
        self.segment.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Segment {
    fn start(dir: &Path, index: &Index) -> Result<Self> {
        loop {
            let name = uuid::Uuid::new_v4().simple().to_string();
            let path = dir.join(&name);
            let start = || {
                fs::create_dir_all(dir)?;
                let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
                file.lock().map(|()| file)
            };
            let failed =
                |error| Error::io(error, "cannot start the journal of accesses").at_path(&path);
            let file = start().map_err(failed)?;
            // Before it was locked, it looked like what a dead process left.
            if path.exists() {
                index.add_journal(&name)?;
                return Ok(Self { path, file, len: 0 });
            }
        }
    }

    fn append(&mut self, record: [u8; RECORD]) -> Result<()> {
        let written = self.file.write_all(&record);
        written.map_err(|error| Error::io(error, "cannot note an access").at_path(&self.path))?;
        self.len += RECORD as u64;
        Ok(())
    }
}

fn record(entry: i64, event: Event, at_ns: i64) -> [u8; RECORD] {
    let entry = if event == Event::Access { entry } else { -entry };
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&entry.to_le_bytes());
    record[8..].copy_from_slice(&at_ns.to_le_bytes());
    record
}

/// The uses that are noted from a place in the file on, and where the last whole record ends.
fn read(mut file: &File, from: u64) -> io::Result<(HashMap<i64, Use>, u64)> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut bytes)?;
    let mut uses: HashMap<i64, Use> = HashMap::new();
    let (records, _) = bytes.as_chunks::<RECORD>();
    for record in records {
        let number = |at: usize| record[at..].first_chunk().map_or(0, |it| i64::from_le_bytes(*it));
        let event = if number(0) > 0 { Event::Access } else { Event::Release };
        uses.entry(number(0).saturating_abs()).or_default().add(Use::of(event, number(8)));
    }
    Ok((uses, from + (records.len() * RECORD) as u64))
}

fn open(path: &Path) -> Result<Option<File>> {
    match open_regular(path) {
        Err(error) if is_absent(&error) => Ok(None),
        opened => opened.map(Some).map_err(|error| unread(error, path)),
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => {
            Err(Error::io(error, "cannot be removed").at_path(path))
        }
        _ => Ok(()),
    }
}

fn unread(error: io::Error, path: &Path) -> Error {
    Error::io(error, "cannot be read").at_path(path)
}
