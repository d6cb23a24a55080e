//! Work that is to be done once.

use std::{
    error::Error,
    io::{self, Write},
    time::Duration,
};

use larder_storage::{
    ErrorKind, Key,
    flight::{Flights, Options},
    object, open_with,
};

/// Publishes `result` at `url` unless it is there, and says each step on its standard output. A leader waits
/// until its standard input has a line or ends.
pub(crate) fn work(reach: &str, url: &str, lease_ms: u64) -> Result<(), Box<dyn Error>> {
    // Whoever starts several of these has probed the server.
    let storage = open_with(url, &object::Options::default().probe(false))?;
    let options = Options::default().lease(Duration::from_millis(lease_ms));
    let flights = match reach {
        "files" => {
            let root = storage.local_root().ok_or("no directory holds lock files there")?;
            Flights::across_processes(root.join(".larder/flights"))
        }
        "objects" => Flights::on(storage.clone(), options)?,
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
