//! The one error type of the workspace.

use std::{
    error::Error as StdError,
    fmt::{self, Write},
    io,
    path::{Path, PathBuf},
};

use crate::Key;

/// The result of everything in Larder that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the terms a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused: permissions, a failing disk, a broken pipe.
    Io,
    /// Something that was named has to exist and does not. A cache miss is never an error.
    NotFound,
    /// Another writer came first, or what is there contradicts what was asked.
    Conflict,
    /// Stored bytes are not what was written. Nothing is emptied: `repair` moves damaged parts aside.
    Corrupt,
    /// The data is of another program, or of a version that this one does not know.
    Format,
    /// The caller's input breaks a rule.
    Invalid,
    /// Another holder has the lock, or this thread has it already.
    Locked,
    /// A disk, a budget or a limit is full.
    Full,
    /// This storage or engine cannot do what was asked.
    Unsupported,
    /// The same inputs gave different results.
    NonDeterministic,
    /// A database or a remote service failed for reasons of its own.
    Backend,
}

/// An error that says in one line what failed, where, and what to do about it where that helps.
///
/// It is one word wide. [`Display`](fmt::Display) never repeats the [source](StdError::source): walk the chain, or
/// print [`Error::chain`].
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    place: Option<Place>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

enum Place {
    Path(PathBuf),
    Key(Key),
}

impl Error {
    /// An error of `kind`; `message` is a lowercase line without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), place: None, source: None }))
    }

    /// Wraps an error of the operating system, with the kind that fits it; `message` says what was attempted.
    pub fn io(source: io::Error, message: impl Into<String>) -> Self {
        Self::new(io_kind(&source), message).with_source(source)
    }

    /// Names the file or directory concerned.
    #[must_use]
    pub fn at_path(mut self, path: impl AsRef<Path>) -> Self {
        self.0.place = Some(Place::Path(path.as_ref().to_owned()));
        self
    }

    /// Names the object concerned.
    #[must_use]
    pub fn at_key(mut self, key: &Key) -> Self {
        self.0.place = Some(Place::Key(key.clone()));
        self
    }

    /// Chains the error underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The line without its place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The file or directory concerned, where one is.
    pub fn path(&self) -> Option<&Path> {
        match &self.0.place {
            Some(Place::Path(path)) => Some(path),
            _ => None,
        }
    }

    /// The object concerned, where one is.
    pub fn key(&self) -> Option<&Key> {
        match &self.0.place {
            Some(Place::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// This line and those of its sources, joined by `: `, for a person to read.
    pub fn chain(&self) -> impl fmt::Display + '_ {
        Chain(self)
    }
}

fn io_kind(error: &io::Error) -> ErrorKind {
    use io::ErrorKind as Os;
    match error.kind() {
        Os::NotFound => ErrorKind::NotFound,
        Os::StorageFull | Os::QuotaExceeded | Os::FileTooLarge => ErrorKind::Full,
        Os::WouldBlock => ErrorKind::Locked,
        Os::Unsupported => ErrorKind::Unsupported,
        Os::InvalidFilename => ErrorKind::Invalid,
        _ => ErrorKind::Io,
    }
}

struct Chain<'a>(&'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let mut source = StdError::source(self.0);
        while let Some(error) = source {
            write!(Plain(f), ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.place {
            Some(Place::Path(path)) => write!(Plain(f), "{}: ", path.to_string_lossy())?,
            Some(Place::Key(key)) => write!(Plain(f), "{key}: ")?,
            None => {}
        }
        Plain(f).write_str(&self.0.message)
    }
}

/// Writes text as it is, but for what would break the line or the terminal.
struct Plain<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Plain<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() {
                write!(self.0, "{}", c.escape_default())?;
            } else {
                self.0.write_char(c)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn says_where_and_what_once_and_chains_why() {
        let os = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::io(os, "cannot write the object").at_path("/data/x");
        assert_eq!(error.kind(), ErrorKind::Full);
        assert_eq!(error.to_string(), "/data/x: cannot write the object");
        assert_eq!(error.chain().to_string(), "/data/x: cannot write the object: no storage space");
        assert_eq!(error.path(), Some(Path::new("/data/x")));
    }

    #[test]
    fn stays_one_line_whatever_the_path() {
        let error = Error::new(ErrorKind::Invalid, "no").at_path("/it's a\nb\u{85}");
        assert_eq!(error.to_string(), "/it's a\\nb\\u{85}: no");
    }

    #[test]
    fn names_the_key() {
        let key = Key::new("a/b").unwrap();
        let error = Error::new(ErrorKind::Conflict, "exists already").at_key(&key);
        assert_eq!(error.to_string(), "a/b: exists already");
        assert_eq!(error.key(), Some(&key));
    }
}
