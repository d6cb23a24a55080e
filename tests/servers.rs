//! Real object stores on loopback, one of each kind for this run of the suite.

use std::{
    env, fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use larder_storage::{Storage, object::Options, open_with};

use crate::support::skip;

mod careless;

pub(crate) use careless::Careless;

/// Runs a server in a directory of its own until standard input ends, as it does when the test's process does,
/// however it dies. Then nothing of the server is left.
const LAUNCHER: &str = r#"
import subprocess, sys, tempfile
with tempfile.TemporaryDirectory() as home:
    server = subprocess.Popen(sys.argv[1:], cwd=home, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        sys.stdin.read()
    finally:
        server.kill()
        server.wait()
"#;

/// The bucket that every server has.
const BUCKET: &str = "larder";
/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A server that speaks the S3 protocol.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    port: u16,
    /// Its standard input closes with this process.
    _launcher: Child,
}

/// The servers that can be started here; `test` is skipped for each of the others.
pub(crate) fn servers(test: &str) -> impl Iterator<Item = &'static Server> {
    static MOTO: OnceLock<Option<Server>> = OnceLock::new();
    static SEAWEED: OnceLock<Option<Server>> = OnceLock::new();
    let started = [
        ("moto", MOTO.get_or_init(|| Server::start("moto", "moto_server", moto))),
        ("SeaweedFS", SEAWEED.get_or_init(|| Server::start("SeaweedFS", "weed", seaweed))),
    ];
    started.into_iter().filter_map(move |(name, server)| {
        if server.is_none() {
            skip(&format!("{test} on {name}"), "not installed: `cargo xtask integration` does it");
        }
        server.as_ref()
    })
}

fn moto(port: u16) -> Vec<String> {
    format!("-H 127.0.0.1 -p {port}").split(' ').map(str::to_owned).collect()
}

fn seaweed(port: u16) -> Vec<String> {
    let others = [
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port.grpc",
    ];
    let others: Vec<_> = others
        .into_iter()
        .zip(free_ports())
        .map(|(name, port)| format!("-{name}={port}"))
        .collect();
    let fixed = "server -dir=. -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false \
        -master.volumeSizeLimitMB=64 -volume.max=16 -filer.localSocket=filer.sock -s3.localSocket=s3.sock \
        -s3 -s3.port.iceberg=0 -s3.port.lance=0";
    let fixed = fixed.split_whitespace().map(str::to_owned);
    fixed.chain([format!("-s3.port={port}")]).chain(others).collect()
}

/// Ports that nobody listens on: all are held at once, so that no two are the same.
fn free_ports() -> Vec<u16> {
    let held: Vec<_> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

impl Server {
    /// None where the environment for Python peers has no such program.
    fn start(name: &'static str, program: &str, args: fn(u16) -> Vec<String>) -> Option<Self> {
        let python = PathBuf::from(env::var_os("LARDER_PYTHON")?);
        let program = python.with_file_name(program);
        if !fs::exists(&program).unwrap() {
            return None;
        }
        let port = free_ports()[0];
        let mut launcher = Command::new(&python);
        launcher.arg("-c").arg(LAUNCHER).arg(program).args(args(port)).stdin(Stdio::piped());
        let server = Self { name, port, _launcher: launcher.spawn().unwrap() };
        server.make_bucket();
        Some(server)
    }

    /// Asks for the bucket until there is one.
    fn make_bucket(&self) {
        let started = Instant::now();
        while !self.put_bucket().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(started.elapsed() < PATIENCE, "{} does not start", self.name);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn put_bucket(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "PUT /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub(crate) fn name(&self) -> &str {
        self.name
    }

    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// What a client has to know, by the names of `object_store`.
    pub(crate) fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("aws_endpoint", format!("http://127.0.0.1:{}", self.port)),
            ("aws_access_key_id", "reader".into()),
            ("aws_secret_access_key", "secret".into()),
        ]
    }

    pub(crate) fn options(&self) -> Options {
        let settings = self.settings().into_iter();
        settings.fold(Options::default(), |options, (name, value)| options.setting(name, value))
    }

    pub(crate) fn open(&self, prefix: &str) -> Arc<dyn Storage> {
        open_with(&self.url(prefix), &self.options()).unwrap()
    }

    /// As [`open`](Self::open), for a server that has passed the probe before.
    pub(crate) fn reopen(&self, prefix: &str) -> Arc<dyn Storage> {
        open_with(&self.url(prefix), &self.options().probe(false)).unwrap()
    }
}
