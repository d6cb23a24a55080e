//! The one thread on which all requests run, started by the first of them.

use std::{
    any::Any,
    io,
    panic::AssertUnwindSafe,
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread,
};

use futures_util::FutureExt;
use tokio::runtime::{Builder, Runtime};

use crate::{Error, ErrorKind, Result};

/// What a request will have given, once it is done.
#[derive(Debug)]
pub(super) struct Pending<T>(mpsc::Receiver<thread::Result<T>>);

impl<T> Pending<T> {
    /// Blocks until the request is done. No runtime is entered, so any thread may do this.
    pub(super) fn wait(self) -> Result<T> {
        let answer = self.0.recv().map_err(|error| {
            Error::new(ErrorKind::Backend, "the request ended without an answer").with_source(error)
        })?;
        answer.map_err(panicked)
    }
}

/// What a client of a store cannot take, it may panic on.
fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("nothing");
    let why = format!("the store's client panicked: check the settings; it said: {text}");
    Error::new(ErrorKind::Backend, why.replace(char::is_control, " "))
}

/// Starts a request.
pub(super) fn start<T: Send + 'static>(
    request: impl Future<Output = T> + Send + 'static,
) -> Result<Pending<T>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Whoever no longer waits does not want to know.
        let _ = sender.send(AssertUnwindSafe(request).catch_unwind().await);
    });
    Ok(Pending(receiver))
}

/// Runs a request to its end.
pub(super) fn wait<T: Send + 'static>(
    request: impl Future<Output = object_store::Result<T>> + Send + 'static,
) -> Result<object_store::Result<T>> {
    start(request)?.wait()
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // One at a time: a second runtime could not be dropped on a thread that is inside another one.
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let built =
        build().map_err(|error| Error::io(error, "cannot start the thread for requests"))?;
    Ok(RUNTIME.get_or_init(|| built))
}

fn build() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("larder-requests")
        .enable_all()
        .build()
}
