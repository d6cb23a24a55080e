//! A directory as a tar archive: equal directories give equal bytes.
//!
//! The variant is GNU's, for its names of any length and any bytes. Entries come in the order of their names, a
//! directory before what is in it. Of the mode only the owner's right to execute is kept, of owners and times nothing.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata},
    io::{self, BufWriter, Read, Write},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use blake3::Hasher;
use larder_storage::{Digest, Error, ErrorKind, Result};
use tar::{Builder, EntryType, Header};

use super::names;
use crate::meta;

/// Names and targets of links from this length on have an entry of their own, before the one that they belong to.
const LONG: usize = 100;
const LONG_NAME: &[u8] = b"././@LongLink";
const BUFFER: usize = 1 << 20;

/// What an archive came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) digest: Digest,
    pub(super) len: u64,
}

/// Something in the directory.
struct Found {
    path: PathBuf,
    /// The path below the directory, with `/` between the segments.
    name: Vec<u8>,
    metadata: Metadata,
}

/// Writes the archive of what lies below `dir`, but for the cache's own files.
///
/// `Unsupported` where there is something else than files, directories, and links that stay inside.
pub(super) fn pack(dir: &Path, out: impl Write) -> Result<Packed> {
    let failed = |error| Error::io(error, "cannot be packed").at_path(dir);
    let mut archive = Builder::new(BufWriter::with_capacity(BUFFER, Summed::new(out)));
    let mut waiting = children(dir, b"")?;
    while let Some(found) = waiting.pop() {
        append(&mut archive, &found)?;
        if found.metadata.is_dir() {
            waiting.append(&mut children(&found.path, &[&found.name[..], b"/"].concat())?);
        }
    }
    let mut buffered = archive.into_inner().map_err(failed)?;
    buffered.flush().map_err(failed)?;
    Ok(buffered.get_ref().sum())
}

/// What is in the directory, the first name last. The names start with `above`.
fn children(dir: &Path, above: &[u8]) -> Result<Vec<Found>> {
    let failed = |error| Error::io(error, "cannot look into the directory").at_path(dir);
    let mut names = fs::read_dir(dir)
        .and_then(|all| all.map(|it| it.map(|it| it.file_name())).collect::<io::Result<Vec<_>>>())
        .map_err(failed)?;
    names.retain(|name| !meta::is_own_name(name));
    names.sort_unstable_by(|a, b| b.cmp(a));
    let find = |name: OsString| {
        let path = dir.join(&name);
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        Ok(Found { path, name: [above, name.as_bytes()].concat(), metadata })
    };
    names.into_iter().map(find).collect()
}

fn append(archive: &mut Builder<impl Write>, found: &Found) -> Result<()> {
    let failed = |error| Error::io(error, "cannot be packed").at_path(&found.path);
    let kind = found.metadata.file_type();
    if kind.is_dir() {
        let header = header(EntryType::Directory, 0, 0o755);
        let name = [&found.name[..], b"/"].concat();
        write(archive, header, &name, b"", io::empty()).map_err(failed)
    } else if kind.is_file() {
        append_file(archive, found)
    } else if kind.is_symlink() {
        let target = fs::read_link(&found.path).map_err(failed)?;
        let target = target.as_os_str().as_bytes();
        if !names::stays_inside(&found.name, target) {
            return Err(unsupported(found, "is a link that may lead out of the entry"));
        }
        let header = header(EntryType::Symlink, 0, 0o777);
        write(archive, header, &found.name, target, io::empty()).map_err(failed)
    } else {
        Err(unsupported(found, "is neither a file nor a directory nor a symbolic link"))
    }
}

fn append_file(archive: &mut Builder<impl Write>, found: &Found) -> Result<()> {
    let failed = |error| Error::io(error, "cannot be packed").at_path(&found.path);
    let len = found.metadata.len();
    let mode = if found.metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
    let mut bytes = File::open(&found.path).map_err(failed)?.take(len);
    let header = header(EntryType::Regular, len, mode);
    write(archive, header, &found.name, b"", &mut bytes).map_err(failed)?;
    if bytes.limit() > 0 {
        let message = "was cut short while it was packed: entries are not to be written";
        return Err(Error::new(ErrorKind::Conflict, message).at_path(&found.path));
    }
    Ok(())
}

fn unsupported(found: &Found, why: &str) -> Error {
    let message = format!("{why}: the entry stays in this root");
    Error::new(ErrorKind::Unsupported, message).at_path(&found.path)
}

fn header(kind: EntryType, len: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(len);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn write(
    archive: &mut Builder<impl Write>,
    mut header: Header,
    name: &[u8],
    target: &[u8],
    data: impl Read,
) -> io::Result<()> {
    for (text, kind) in [(name, EntryType::GNULongName), (target, EntryType::GNULongLink)] {
        if text.len() >= LONG {
            write_long(archive, kind, text)?;
        }
    }
    let old = header.as_old_mut();
    fill(&mut old.name, name);
    fill(&mut old.linkname, target);
    header.set_cksum();
    archive.append(&header, data)
}

fn write_long(archive: &mut Builder<impl Write>, kind: EntryType, text: &[u8]) -> io::Result<()> {
    let text = [text, b"\0"].concat();
    let mut header = header(kind, text.len() as u64, 0o644);
    fill(&mut header.as_old_mut().name, LONG_NAME);
    header.set_cksum();
    archive.append(&header, &text[..])
}

/// As much of the text as has room, with a zero after it.
fn fill(field: &mut [u8; LONG], text: &[u8]) {
    let len = text.len().min(LONG - 1);
    field[..len].copy_from_slice(&text[..len]);
}

/// Hashes and counts what passes.
struct Summed<W> {
    out: W,
    hasher: Hasher,
}

impl<W> Summed<W> {
    fn new(out: W) -> Self {
        Self { out, hasher: Hasher::new() }
    }

    fn sum(&self) -> Packed {
        let digest = Digest::from(*self.hasher.finalize().as_bytes());
        Packed { digest, len: self.hasher.count() }
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
