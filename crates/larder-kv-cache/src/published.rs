//! The engine that keeps entries in one JSON document on any storage, as the seed's package does in a file.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use larder_storage::{
    Bytes, Error, ErrorKind, Key, Problem, PutIf, RESERVED_SEGMENT, Result, Storage, Version,
    flight::{self, Flights, Lease},
    time,
};

use crate::{
    Lookup, Options, Status, VerifyReport,
    document::Document,
    engine::{Change, EachEntry, Engine, Flight, Found, Value, When, Write},
};

/// The most bytes of a document.
pub(crate) const MAX_LEN: usize = 16 << 20;

/// How many keys are computed at once: each is a lock file or an object of its own.
const MAX_LEASES: usize = 256;

#[derive(Debug)]
pub(crate) struct Published {
    storage: Arc<dyn Storage>,
    namespace: String,
    key: Key,
    path: PathBuf,
    flights: Flights,
    /// Held while the document is read or written, so that nobody puts an older one over a newer one.
    turn: Mutex<()>,
    state: Mutex<State>,
}

/// The document as it was last read or written.
#[derive(Clone, Debug, Default)]
struct State {
    document: Arc<Document>,
    /// None where there is no object, or where it is not known.
    version: Option<Version>,
    /// None where the file may change without a change of its mark.
    file: Option<FileMark>,
}

/// What tells one published file from the next without reading it.
#[derive(Clone, Debug, PartialEq)]
struct FileMark {
    dev: u64,
    ino: u64,
    len: u64,
    modified: SystemTime,
}

impl FileMark {
    /// Whether whatever replaces the file will have another mark: times are coarse, and numbers are used again.
    fn is_settled(&self) -> bool {
        self.modified.elapsed().is_ok_and(|age| age > Duration::from_millis(100))
    }
}

impl Published {
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        namespace: &str,
        options: &Options,
    ) -> Result<Self> {
        let key = key_of(namespace)?;
        if options.time_to_live.is_some() || options.capacity.is_some() {
            return Err(unsupported("a time to live or a capacity").at_key(&key));
        }
        let root = storage.local_root();
        let path = root.map_or_else(|| PathBuf::from(key.as_str()), |root| root.join(key.as_str()));
        let flights = match root {
            Some(root) => Flights::across_processes(root.join(RESERVED_SEGMENT).join("flights")),
            None => Flights::on(Arc::clone(&storage), flight::Options::default())?,
        };
        let (turn, state) = (Mutex::default(), Mutex::default());
        let namespace = namespace.to_owned();
        let new = Self { storage, namespace, key, path, flights, turn, state };
        new.reload()?;
        Ok(new)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the document anew, in a turn.
    fn load(&self) -> Result<State> {
        let file = self.mark().filter(FileMark::is_settled);
        let object = self.storage.get(&self.key)?;
        let mut state = self.lock();
        *state = match object {
            None => State::default(),
            Some(object) if state.version.as_ref() == Some(object.version()) => {
                State { file, ..state.clone() }
            }
            Some(object) => State {
                document: Arc::new(
                    Document::parse(object.bytes()).map_err(|error| error.at_key(&self.key))?,
                ),
                version: Some(object.version().clone()),
                file,
            },
        };
        Ok(state.clone())
    }

    /// The document that is there now, where that costs a look at a file, and else the one that was last read or written.
    fn document(&self) -> Result<Arc<Document>> {
        if self.storage.local_root().is_some() {
            let known = self.lock().clone();
            let mark = self.mark();
            if mark.is_none() || mark != known.file {
                let _turn = self.turn();
                return Ok(self.load()?.document);
            }
            return Ok(known.document);
        }
        Ok(Arc::clone(&self.lock().document))
    }

    fn mark(&self) -> Option<FileMark> {
        self.storage.local_root()?;
        let found = std::fs::metadata(&self.path).ok()?;
        let modified = found.modified().ok()?;
        Some(FileMark { dev: found.dev(), ino: found.ino(), len: found.len(), modified })
    }

    /// Makes `change` of the document that is there, as often as others come in between.
    fn change<T>(&self, mut change: impl FnMut(&mut Document) -> Result<(T, bool)>) -> Result<T> {
        for round in 0_u32.. {
            let turn = self.turn();
            let found = self.load()?;
            let mut document = Document::clone(&found.document);
            let (outcome, is_changed) = change(&mut document)?;
            if !is_changed {
                return Ok(outcome);
            }
            let bytes = Bytes::from(document.to_bytes());
            if bytes.len() > MAX_LEN {
                return Err(self.too_large(bytes.len()));
            }
            let when = found.version.map_or(PutIf::Absent, PutIf::Version);
            match self.storage.put(&self.key, bytes, when) {
                Ok(()) => {
                    // Its version is known when it is read back.
                    *self.lock() = State { document: Arc::new(document), ..State::default() };
                    return Ok(outcome);
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    drop(turn);
                    back_off(round);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "others never stop writing").at_key(&self.key))
    }

    fn too_large(&self, len: usize) -> Error {
        let message =
            format!("would have {len} bytes and may have {MAX_LEN}: use a database instead");
        Error::new(ErrorKind::Full, message).at_key(&self.key)
    }
}

fn key_of(namespace: &str) -> Result<Key> {
    Key::encode(namespace)?.with_suffix(".json")
}

/// Where the document is damaged, copies it aside and puts an empty one in its place; the key of the copy.
pub(crate) fn repair(storage: &dyn Storage, namespace: &str) -> Result<Option<Key>> {
    let key = key_of(namespace)?;
    let Some(object) = storage.get(&key)? else { return Ok(None) };
    match Document::parse(object.bytes()) {
        Ok(_) => return Ok(None),
        Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error.at_key(&key)),
        Err(_) => {}
    }
    let aside = Key::new(format!("quarantine/{}-{key}", time::now_ns()))?;
    storage.put(&aside, object.bytes().clone(), PutIf::Absent)?;
    let empty = Document::default().to_bytes().into();
    storage.put(&key, empty, PutIf::Version(object.version().clone()))?;
    Ok(Some(aside))
}

/// Waits a while before another round, longer and longer, and not as long as others.
fn back_off(round: u32) {
    let bound = 1_u64 << round.min(6);
    let share = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    thread::sleep(Duration::from_micros(bound * 1000 * share / 256));
}

fn unsupported(what: &str) -> Error {
    let message = format!("a plain JSON document has no room for {what}: use a database instead");
    Error::new(ErrorKind::Unsupported, message)
}

fn find(document: &Document, key: &str) -> Lookup<Found> {
    document.get(key).map_or(Lookup::Miss, |json| {
        Lookup::Hit(Found { json: Bytes::copy_from_slice(json.as_bytes()), expires_at: None })
    })
}

fn admit(value: &Value) -> Result<()> {
    if value.expires_at.is_some() || !value.tags.is_empty() {
        return Err(unsupported("a time to live or tags"));
    }
    Ok(())
}

fn put(document: &mut Document, key: &str, json: &[u8]) -> Result<()> {
    let no_text = |error| Error::new(ErrorKind::Invalid, "the value is no text").with_source(error);
    document.set(key, str::from_utf8(json).map_err(no_text)?)
}

/// Whether it happened.
fn apply(document: &mut Document, write: &Write<'_>) -> Result<bool> {
    let holds = match &write.when {
        When::Always => true,
        When::Absent => !document.contains(write.key),
        When::Unchanged(expected) => {
            document.get(write.key).map(str::as_bytes) == expected.as_deref()
        }
    };
    if !holds {
        return Ok(false);
    }
    match &write.change {
        Change::Remove => return Ok(document.remove(write.key)),
        Change::Expire(_) => return Err(unsupported("a time to live")),
        Change::Set(value) | Change::SetAnew(value) => {
            admit(value)?;
            if let Change::SetAnew(_) = write.change {
                document.remove(write.key);
            }
            put(document, write.key, &value.json)?;
        }
        Change::Revalue(json) => put(document, write.key, json)?,
    }
    Ok(true)
}

impl Engine for Published {
    fn path(&self) -> &Path {
        &self.path
    }

    fn find(&self, key: &str, _now: i64) -> Result<Lookup<Found>> {
        Ok(find(&*self.document()?, key))
    }

    fn find_many(&self, keys: &[&str], _now: i64) -> Result<Vec<Lookup<Found>>> {
        let document = self.document()?;
        Ok(keys.iter().map(|key| find(&document, key)).collect())
    }

    fn contains(&self, keys: &[&str], _now: i64) -> Result<Vec<bool>> {
        let document = self.document()?;
        Ok(keys.iter().map(|key| document.contains(key)).collect())
    }

    fn keys(&self, prefix: &str, _now: i64) -> Result<Vec<String>> {
        let document = self.document()?;
        Ok(document.keys().filter(|key| key.starts_with(prefix)).map(str::to_owned).collect())
    }

    fn len(&self, _now: i64) -> Result<u64> {
        Ok(self.document()?.keys().count() as u64)
    }

    fn write(&self, writes: &[Write<'_>], _now: i64) -> Result<Vec<bool>> {
        self.change(|document| {
            let apply = |write| apply(document, write);
            let done = writes.iter().map(apply).collect::<Result<Vec<bool>>>();
            let done = done.map_err(|error| error.at_key(&self.key))?;
            let is_changed = done.contains(&true);
            Ok((done, is_changed))
        })
    }

    fn admit(&self, _key: &str, value: &Value) -> Result<()> {
        if value.json.len() > MAX_LEN {
            return Err(self.too_large(value.json.len()));
        }
        admit(value).map_err(|error| error.at_key(&self.key))
    }

    fn clear(&self, tag: Option<&str>) -> Result<()> {
        if tag.is_some() {
            return Err(unsupported("tags").at_key(&self.key));
        }
        self.change(|document| {
            document.clear();
            Ok(((), true))
        })
    }

    fn reload(&self) -> Result<()> {
        let _turn = self.turn();
        self.load().map(drop)
    }

    fn take_off<'a>(&'a self, keys: &[&str], _now: i64) -> Result<Box<dyn Flight + 'a>> {
        let enter = |key: &&str| self.flights.enter(&format!("{}/{key}", self.key));
        let leases = keys.iter().take(MAX_LEASES).map(enter).collect::<Result<Vec<_>>>()?;
        self.reload()?;
        let document = self.document()?;
        let leads = keys.iter().take(MAX_LEASES).map(|key| !document.contains(key)).collect();
        Ok(Box::new(Leases { leads, _held: leases }))
    }

    fn entries(&self, _now: i64, each: &mut EachEntry<'_>) -> Result<()> {
        let document = self.document()?;
        document.spelled().try_for_each(|(key, json)| each(key.as_bytes(), json.as_bytes()))
    }

    fn evictions(&self) -> u64 {
        0
    }

    fn status(&self, now: i64) -> Result<Status> {
        let object = self.storage.get(&self.key)?;
        let bytes = object.map_or(0, |object| object.bytes().len() as u64);
        let (namespace, path) = (self.namespace.clone(), self.path.clone());
        let entries = self.len(now)?;
        Ok(Status { namespace, path, entries, unsaved: 0, dead: 0, bytes, free_bytes: 0 })
    }

    fn verify(&self) -> Result<VerifyReport> {
        let _turn = self.turn();
        match self.load() {
            Ok(State { document, .. }) => Ok(VerifyReport {
                entries: document.len() as u64,
                problems: document.unreadable().collect(),
            }),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Format) => {
                let problem = Problem::new(self.path.display(), error.chain());
                Ok(VerifyReport { entries: 0, problems: vec![problem] })
            }
            Err(error) => Err(error),
        }
    }

    /// A document holds nothing that was removed.
    fn vacuum(&self, _now: i64) -> Result<()> {
        Ok(())
    }
}

struct Leases<'a> {
    leads: Vec<bool>,
    _held: Vec<Lease<'a>>,
}

impl Flight for Leases<'_> {
    fn leads(&self, index: usize) -> bool {
        self.leads.get(index).is_some_and(|leads| *leads)
    }

    fn land(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
