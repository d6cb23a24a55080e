//! Work that is to be done once.

use std::{
    error::Error,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use larder_storage::{
    Durability, ErrorKind, Key, LocalStorage, Storage,
    flight::{Flights, Options},
};

/// Publishes `result` under `root` unless it is there, and says each step on its standard output. A leader waits
/// until its standard input has a line or ends.
pub(crate) fn work(reach: &str, root: &Path, lease_ms: u64) -> Result<(), Box<dyn Error>> {
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::open(root, Durability::Process)?);
    let options = Options::default().lease(Duration::from_millis(lease_ms));
    let flights = match reach {
        "files" => Flights::across_processes(root.join(".larder/flights")),
        "objects" => Flights::on(Arc::clone(&storage), options)?,
        _ => return Err(format!("unknown reach: {reach}").into()),
    };
    let result = Key::new("result")?;
    say("waiting")?;
    let lease = flights.enter("work")?;
    if storage.get(&result)?.is_some() {
        return Ok(say("found")?);
    }
    say("leading")?;
    io::stdin().read_line(&mut String::new())?;
    let bytes = std::process::id().to_string().into();
    match lease.publish(&*storage, &result, bytes, None) {
        Ok(()) => Ok(say("published")?),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(say("refused")?),
        Err(error) => Err(error.into()),
    }
}

fn say(step: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{step}")?;
    out.flush()
}
