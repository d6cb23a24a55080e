use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// What a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flaw {
    /// It takes each create.
    Creates,
    /// It takes each update, whatever version is named.
    Updates,
    /// It takes no update.
    NoUpdate,
    /// It takes an update of what was removed.
    Revivals,
    /// It looks whether a create may be done, pauses, and does it.
    RacedCreates,
    /// The same with updates.
    RacedUpdates,
    /// All versions have one name.
    OneVersion,
    /// No version has a name.
    NoVersion,
}

/// An S3 server that takes objects but for one flaw keeps their conditions: one to be refused.
///
/// Its threads wait for connections until the test's process ends.
#[derive(Debug)]
pub(crate) struct Careless {
    port: u16,
}

/// The number of the version of each object.
type Versions = Mutex<HashMap<String, u64>>;

/// One request: to put an object, or to delete it.
struct Request {
    key: String,
    deletes: bool,
    /// Whether nothing may be there.
    creates: bool,
    /// The version that has to be there.
    updates: Option<String>,
}

impl Careless {
    pub(crate) fn start(flaw: Flaw) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let versions = Arc::<Versions>::default();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let versions = versions.clone();
                thread::spawn(move || serve(&stream, flaw, &versions));
            }
        });
        Self { port }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, flaw: Flaw, versions: &Versions) -> Option<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let request = Request::read(&mut reader)?;
        if request.deletes {
            versions.lock().unwrap().remove(&request.key);
            write!(writer, "HTTP/1.1 204 No Content\r\n\r\n").ok()?;
            continue;
        }
        let raced = (flaw == Flaw::RacedCreates && request.creates)
            || (flaw == Flaw::RacedUpdates && request.updates.is_some());
        let mut holds = request.holds(flaw, &versions.lock().unwrap());
        if raced {
            // As long as others need to look too.
            thread::sleep(Duration::from_millis(100));
        }
        let mut versions = versions.lock().unwrap();
        holds = if raced { holds } else { request.holds(flaw, &versions) };
        let answer = if holds {
            static LAST: AtomicU64 = AtomicU64::new(0);
            let version = LAST.fetch_add(1, Ordering::SeqCst) + 1;
            versions.insert(request.key, version);
            match flaw {
                Flaw::OneVersion => "200 OK\r\nETag: \"0\"".to_owned(),
                Flaw::NoVersion => "200 OK".to_owned(),
                _ => format!("200 OK\r\nETag: \"{version}\""),
            }
        } else {
            "412 Precondition Failed".to_owned()
        };
        drop(versions);
        write!(writer, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

impl Request {
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            Some(line.trim().to_ascii_lowercase())
        };
        let first = line()?;
        let (method, rest) = first.split_once(' ')?;
        let (key, deletes) = (rest.to_owned(), method == "delete");
        let (mut request, mut length) = (Self { key, deletes, creates: false, updates: None }, 0);
        loop {
            let header = line()?;
            match header.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().ok()?,
                Some(("if-none-match", _)) => request.creates = true,
                Some(("if-match", version)) => request.updates = Some(version.to_owned()),
                _ if header.is_empty() => break,
                _ => {}
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        Some(request)
    }

    /// Whether it may be done, as far as this server cares.
    fn holds(&self, flaw: Flaw, versions: &HashMap<String, u64>) -> bool {
        let there = versions.get(&self.key);
        match &self.updates {
            Some(_) if flaw == Flaw::NoUpdate => false,
            Some(_) if matches!(flaw, Flaw::Updates | Flaw::OneVersion) => true,
            Some(_) if flaw == Flaw::Revivals && there.is_none() => true,
            Some(named) => there.is_some_and(|version| *named == format!("\"{version}\"")),
            None => !self.creates || flaw == Flaw::Creates || there.is_none(),
        }
    }
}
