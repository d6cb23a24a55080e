use std::{
    fmt,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What somebody else does at a bad moment.
type Meanwhile = Arc<dyn Fn() + Send + Sync>;

/// What goes wrong with a request.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The connection breaks before the server hears of it.
    Lost(Meanwhile),
    /// The server acts, and the connection breaks before its answer.
    Unanswered(Meanwhile),
    /// The server acts, and its answer never comes.
    Stalled,
    /// The server never hears of it, and this status is the answer.
    Refused(u16),
    /// The server acts, and this status is the answer.
    Denied(u16),
    /// The connection breaks in the middle of the answer's body.
    Cut(Meanwhile),
    /// The server hears of it only afterwards; nothing else goes wrong.
    Late(Meanwhile),
}

impl Fault {
    pub(crate) fn unanswered() -> Self {
        Self::Unanswered(Arc::new(|| ()))
    }

    pub(crate) fn cut() -> Self {
        Self::Cut(Arc::new(|| ()))
    }
}

/// A fault that befalls the next `times` requests whose first lines hold all of `words`.
struct Plan {
    words: &'static [&'static str],
    times: usize,
    fault: Fault,
}

#[derive(Default)]
struct State {
    plans: Vec<Plan>,
    seen: Vec<String>,
}

/// A proxy before one server, which passes requests on one by one, and spoils those that it is told to.
///
/// Its threads wait for requests until the test's process ends. Clones are one proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let proxy = Self { port, state: state.clone() };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = state.clone();
                thread::spawn(move || pass_on(&client, server, &state));
            }
        });
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Spoils the next `times` requests whose first lines hold all of `words`.
    pub(crate) fn spoil(&self, words: &'static [&'static str], times: usize, fault: Fault) {
        self.state.lock().unwrap().plans.push(Plan { words, times, fault });
    }

    /// How many requests there were whose first lines and ranges hold all of `words`, since this was last asked: that begins
    /// anew.
    pub(crate) fn take_count(&self, words: &[&str]) -> usize {
        let seen = std::mem::take(&mut self.state.lock().unwrap().seen);
        seen.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    /// Whether all faults have befallen a request.
    pub(crate) fn is_done(&self) -> bool {
        self.state.lock().unwrap().plans.iter().all(|plan| plan.times == 0)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("port", &self.port).finish_non_exhaustive()
    }
}

impl State {
    fn meet(&mut self, line: &str) -> Option<Fault> {
        self.seen.push(line.to_owned());
        let meets =
            |plan: &&mut Plan| plan.times > 0 && plan.words.iter().all(|word| line.contains(word));
        let plan = self.plans.iter_mut().find(meets)?;
        plan.times -= 1;
        Some(plan.fault.clone())
    }
}

/// Serves the one request of a connection: the server is asked to close it after its answer, and so the client does.
fn pass_on(client: &TcpStream, server: u16, state: &Mutex<State>) -> std::io::Result<()> {
    let request = read_request(&mut BufReader::new(client))?;
    let fault = state.lock().unwrap().meet(&summary(&request));
    match fault {
        Some(Fault::Lost(meanwhile)) => meanwhile(),
        Some(Fault::Refused(status)) => answer(client, status)?,
        Some(Fault::Unanswered(meanwhile)) => {
            ask(server, &request)?;
            meanwhile();
        }
        Some(Fault::Stalled) => {
            ask(server, &request)?;
            // Until the client gives up.
            _ = (&*client).read(&mut [0]);
        }
        Some(Fault::Denied(status)) => {
            ask(server, &request)?;
            answer(client, status)?;
        }
        Some(Fault::Cut(meanwhile)) => {
            let whole = ask(server, &request)?;
            let body = whole.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(0) + 4;
            (&*client).write_all(&whole[..body + (whole.len() - body) / 2])?;
            meanwhile();
        }
        Some(Fault::Late(meanwhile)) => {
            meanwhile();
            (&*client).write_all(&ask(server, &request)?)?;
        }
        None => (&*client).write_all(&ask(server, &request)?)?,
    }
    client.shutdown(Shutdown::Both)
}

/// What plans and counts look at: the first line of a request, and the range that it asks for.
fn summary(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let headers = lines.take_while(|line| !line.is_empty());
    let range = headers.map(str::to_ascii_lowercase).filter(|line| line.contains("range: bytes="));
    range.fold(first, |all, line| format!("{all} {line}"))
}

fn ask(server: u16, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", server))?;
    stream.write_all(request)?;
    let mut whole = Vec::new();
    stream.read_to_end(&mut whole)?;
    Ok(whole)
}

fn answer(mut client: &TcpStream, status: u16) -> std::io::Result<()> {
    write!(client, "HTTP/1.1 {status} Spoiled\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn read_request(client: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let (mut request, mut length) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        if client.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let header = String::from_utf8_lossy(&line).trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if !header.starts_with("connection:") {
            request.extend(line);
        }
    }
    request.extend(b"Connection: close\r\n\r\n");
    let head = request.len();
    request.resize(head + length, 0);
    client.read_exact(&mut request[head..])?;
    Ok(request)
}
