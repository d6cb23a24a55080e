//! Real object stores on loopback, one of each kind for this run of the suite.

use std::{
    env,
    fs::{self, File},
    io::{Read, Seek, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use larder_storage::{Key, PutIf, Storage, object::Options, open_with};

use crate::support::{skip, skip_in_part};

mod careless;
mod proxy;

pub(crate) use careless::{Careless, Flaw};
pub(crate) use proxy::{Fault, Proxy};

/// Runs a server in a directory of its own until standard input ends, as it does when the test's process does,
/// however it dies. Then nothing of the server is left.
const LAUNCHER: &str = r#"
import subprocess, sys, tempfile
with tempfile.TemporaryDirectory() as home:
    server = subprocess.Popen(sys.argv[1:], cwd=home, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL)
    try:
        sys.stdin.read()
    finally:
        server.kill()
        server.wait()
"#;

/// Runs a check on every server that can be started here, on all of them at once.
pub(crate) fn on_each_server(test: &str, check: impl Fn(&'static Server) + Sync) {
    thread::scope(|scope| {
        for server in servers(test) {
            let check = &check;
            thread::Builder::new()
                .name(server.name().into())
                .spawn_scoped(scope, move || check(server))
                .unwrap();
        }
    });
}

/// moto looks whether a condition holds, and then acts, while other threads do so too. A test of races needs a server
/// that is right, so this one answers one request at a time, and looks for no other service than S3.
const MOTO: &str = r#"
import sys, threading
from moto.moto_server import werkzeug_app as moto
from werkzeug.serving import run_simple
application, alone = moto.create_backend_app("s3"), threading.Lock()
def answer(environ, start_response):
    with alone:
        return application(environ, start_response)
run_simple("127.0.0.1", int(sys.argv[1]), answer, threaded=True, request_handler=moto.MotoRequestHandler)
"#;

/// The bucket that every server has.
const BUCKET: &str = "larder";
/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A server, and how to speak to it.
#[derive(Debug)]
pub(crate) struct Server {
    dialect: &'static Dialect,
    port: u16,
    /// Its standard input closes with this process.
    _launcher: Child,
    /// What it writes to its standard error.
    said: File,
}

/// One kind of server.
#[derive(Debug)]
struct Dialect {
    name: &'static str,
    /// Where it lies, from the directory of the Python that runs the peers.
    program: &'static str,
    /// A program of our own for the Python, in the place of that one.
    instead: Option<&'static str>,
    args: fn(&[u16]) -> Vec<String>,
    scheme: &'static str,
    settings: fn(u16) -> Vec<(&'static str, String)>,
    make_bucket: fn(u16) -> bool,
}

static DIALECTS: [Dialect; 3] = [
    Dialect {
        name: "moto",
        program: "moto_server",
        instead: Some(MOTO),
        args: moto,
        scheme: "s3",
        settings: s3_settings,
        make_bucket: make_s3_bucket,
    },
    Dialect {
        name: "SeaweedFS",
        program: "weed",
        instead: None,
        args: seaweed,
        scheme: "s3",
        settings: s3_settings,
        make_bucket: make_s3_bucket,
    },
    Dialect {
        name: "azurite",
        program: "../node/node_modules/.bin/azurite-blob",
        instead: None,
        args: azurite,
        scheme: "az",
        settings: azure_settings,
        make_bucket: make_azure_container,
    },
];

const MISSING: &str = "not installed: `cargo xtask integration` does it, azurite where npm is";

/// The servers that can be started here; `test` is skipped on each of the others.
pub(crate) fn servers(test: &str) -> impl Iterator<Item = &'static Server> {
    let all = started();
    let skip = if all.iter().any(Option::is_some) { skip_in_part } else { skip };
    let missing = DIALECTS.iter().zip(all).filter(|(_, server)| server.is_none());
    missing.for_each(|(dialect, _)| skip(&format!("{test} on {}", dialect.name), MISSING));
    all.iter().flatten()
}

/// The server of this name; where it cannot be started, `test` is skipped.
pub(crate) fn server(name: &str, test: &str) -> Option<&'static Server> {
    let server = started().iter().flatten().find(|server| server.name() == name);
    if server.is_none() {
        skip(&format!("{test} on {name}"), MISSING);
    }
    server
}

/// In the order of `DIALECTS`; none where there is no such program.
fn started() -> &'static [Option<Server>] {
    static STARTED: OnceLock<Vec<Option<Server>>> = OnceLock::new();
    STARTED.get_or_init(|| {
        let ports = free_ports(DIALECTS.len() * PORTS);
        // All are on their way up before the first is asked whether it is there.
        let started: Vec<_> = DIALECTS
            .iter()
            .zip(ports.chunks(PORTS))
            .map(|(it, ports)| Server::start(it, ports))
            .collect();
        started.iter().flatten().for_each(Server::wait_for_bucket);
        started
    })
}

/// How many ports each server is given, of which the first is its own.
const PORTS: usize = 8;

/// Ports that nobody listens on: all are held at once, so that no two are the same.
fn free_ports(number: usize) -> Vec<u16> {
    let held: Vec<_> = (0..number).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn moto(ports: &[u16]) -> Vec<String> {
    vec![ports[0].to_string()]
}

fn seaweed(ports: &[u16]) -> Vec<String> {
    let names = [
        "s3.port",
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port.grpc",
    ];
    let ports = names.iter().zip(ports).map(|(name, port)| format!("-{name}={port}"));
    let fixed = "server -dir=. -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false \
        -master.volumeSizeLimitMB=64 -volume.max=16 -filer.localSocket=filer.sock -s3.localSocket=s3.sock \
        -s3 -s3.port.iceberg=0 -s3.port.lance=0";
    let fixed = fixed.split_whitespace().map(str::to_owned);
    fixed.chain(ports).collect()
}

/// The account that azurite has from the start, and its key; both are public.
const AZURE_ACCOUNT: &str = "devstoreaccount1";
const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Signs as the protocol asks. The path stands twice, because the account is a part of it already.
const MAKE_CONTAINER: &str = r#"
import base64, email.utils, hashlib, hmac, sys, urllib.request
port, account, key, container = sys.argv[1:]
headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
signed = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
text = "PUT" + "\n" * 12 + signed + f"/{account}/{account}/{container}\nrestype:container"
digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
headers["Authorization"] = f"SharedKey {account}:{base64.b64encode(digest).decode()}"
url = f"http://127.0.0.1:{port}/{account}/{container}?restype=container"
request = urllib.request.Request(url, method="PUT", headers=headers, data=None)
urllib.request.urlopen(request, timeout=10)
"#;

fn azurite(ports: &[u16]) -> Vec<String> {
    // A newer client is refused by its version alone.
    let fixed = "--blobHost 127.0.0.1 --inMemoryPersistence --silent --disableTelemetry --skipApiVersionCheck";
    let fixed = fixed.split(' ').map(str::to_owned);
    fixed.chain(["--blobPort".into(), ports[0].to_string()]).collect()
}

fn s3_settings(port: u16) -> Vec<(&'static str, String)> {
    vec![
        ("aws_endpoint", format!("http://127.0.0.1:{port}")),
        ("aws_access_key_id", "reader".into()),
        ("aws_secret_access_key", "secret".into()),
    ]
}

fn azure_settings(port: u16) -> Vec<(&'static str, String)> {
    vec![
        ("azure_storage_endpoint", format!("http://127.0.0.1:{port}/{AZURE_ACCOUNT}")),
        ("azure_storage_account_name", AZURE_ACCOUNT.into()),
        ("azure_storage_account_key", AZURE_KEY.into()),
    ]
}

fn make_s3_bucket(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "PUT /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn make_azure_container(port: u16) -> bool {
    // Python takes a while to start: not before the server listens.
    TcpStream::connect(("127.0.0.1", port)).is_ok()
        && python_of_peers().is_some_and(|python| {
            let mut signer = Command::new(python);
            signer.args([
                "-c",
                MAKE_CONTAINER,
                &port.to_string(),
                AZURE_ACCOUNT,
                AZURE_KEY,
                BUCKET,
            ]);
            signer.stderr(Stdio::null()).status().unwrap().success()
        })
}

fn python_of_peers() -> Option<PathBuf> {
    env::var_os("LARDER_PYTHON").map(PathBuf::from)
}

impl Server {
    /// None where the environment for Python peers has no such program.
    fn start(dialect: &'static Dialect, ports: &[u16]) -> Option<Self> {
        let python = python_of_peers()?;
        let program = python.with_file_name(dialect.program);
        if !fs::exists(&program).unwrap() {
            return None;
        }
        let mut launcher = Command::new(&python);
        launcher.args(["-c", LAUNCHER]);
        match dialect.instead {
            Some(text) => launcher.arg(&python).args(["-c", text]),
            None => launcher.arg(program),
        };
        launcher.args((dialect.args)(ports));
        let said = tempfile::tempfile().unwrap();
        launcher.stdin(Stdio::piped()).stderr(said.try_clone().unwrap());
        Some(Self { dialect, port: ports[0], _launcher: launcher.spawn().unwrap(), said })
    }

    /// Asks for the bucket until there is one.
    fn wait_for_bucket(&self) {
        let started = Instant::now();
        while !(self.dialect.make_bucket)(self.port) {
            assert!(
                started.elapsed() < PATIENCE,
                "{} does not start: {}",
                self.name(),
                self.said()
            );
            thread::sleep(Duration::from_millis(20));
        }
        // SeaweedFS may take five seconds to make room for the first byte, longer than some tests wait.
        let first = Key::new("first").unwrap();
        self.reopen("room").put(&first, "byte".into(), PutIf::Always).unwrap();
    }

    fn said(&self) -> String {
        let (mut file, mut said) = (&self.said, Vec::new());
        file.rewind().and_then(|()| file.read_to_end(&mut said)).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    }

    pub(crate) fn name(&self) -> &str {
        self.dialect.name
    }

    pub(crate) fn speaks_s3(&self) -> bool {
        self.dialect.scheme == "s3"
    }

    pub(crate) fn url(&self, prefix: &str) -> String {
        self.url_in(BUCKET, prefix)
    }

    pub(crate) fn url_in(&self, bucket: &str, prefix: &str) -> String {
        format!("{}://{bucket}/{prefix}", self.dialect.scheme)
    }

    /// What a client has to know, by the names of `object_store`.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        (self.dialect.settings)(self.port)
    }

    pub(crate) fn options(&self) -> Options {
        options(self.settings())
    }

    pub(crate) fn open(&self, prefix: &str) -> Arc<dyn Storage> {
        open_with(&self.url(prefix), &self.options()).unwrap()
    }

    /// As [`open`](Self::open), for a server that has passed the probe before.
    pub(crate) fn reopen(&self, prefix: &str) -> Arc<dyn Storage> {
        open_with(&self.url(prefix), &self.options().probe(false)).unwrap()
    }

    /// As [`reopen`](Self::reopen), by way of a proxy.
    pub(crate) fn behind_proxy(&self, prefix: &str) -> (Proxy, Arc<dyn Storage>) {
        let proxy = Proxy::start(self.port);
        let options = options((self.dialect.settings)(proxy.port()));
        // A server that stalls is not waited for longer than a test can wait.
        let options = options.setting("read_timeout", "1s").probe(false);
        let storage = open_with(&self.url(prefix), &options).unwrap();
        (proxy, storage)
    }
}

/// These settings, as options.
pub(crate) fn options(settings: Vec<(&'static str, String)>) -> Options {
    let settings = settings.into_iter();
    settings.fold(Options::default(), |options, (name, value)| options.setting(name, value))
}
