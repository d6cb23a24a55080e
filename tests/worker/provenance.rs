//! Work on a store of results that many processes share, or that is killed.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
    process, thread,
};

use larder::provenance::{Options, Provenance};
use larder_storage::{Durability, Error, Result, object, open_with};

use super::{
    array::{Outcome, say},
    provenance_changes::{Store, carry_out, open},
};

/// Does `what` with the store at `place`; `number` is what each work says.
pub(crate) fn work(what: &str, place: &Path, number: u32) -> Outcome {
    match what {
        "put" => ask(number, || put(&open(place, Durability::Process)?)),
        "compute" => {
            let store = open(place, Durability::Process)?;
            ask(number, || compute(&store))
        }
        "tag" => tag(&open(place, Durability::Process)?, number),
        "note" => note(&open(place, Durability::Process)?, number),
        "churn" => churn(place, Durability::Process, number),
        "churn-at-power" => churn(place, Durability::Power, number),
        "change" => {
            carry_out(&open(place, Durability::Process)?, number)?;
            Ok(say("done")?)
        }
        _ => Err(format!("unknown work: {what}").into()),
    }
}

/// Computes what is cold on the storage at `url`, with an index in a directory of its own.
pub(crate) fn work_on(url: &str, index: &str) -> Outcome {
    // Whoever starts several of these has probed the server.
    let storage = open_with(url, &object::Options::default().probe(false))?;
    let store = Store::on(storage, index, Options::default())?;
    ask(1, || compute(&store))
}

/// Waits for a line, asks in so many threads at once, and says all the different answers.
fn ask(threads: u32, ask: impl Fn() -> Result<String> + Sync) -> Outcome {
    say("waiting")?;
    io::stdin().read_line(&mut String::new())?;
    let answers = thread::scope(|scope| {
        let asking: Vec<_> = (0..threads).map(|_| scope.spawn(&ask)).collect();
        let answers = asking.into_iter().map(|it| it.join().map_err(|_| "a thread panicked"));
        answers.collect::<std::result::Result<Vec<_>, _>>()
    })?;
    let answers = answers.into_iter().collect::<Result<BTreeSet<_>>>()?;
    Ok(say(answers.into_iter().collect::<Vec<_>>().join(" "))?)
}

/// Waits for a line, and gives the one record 20 tags, every fourth of which it takes away again.
fn tag(store: &Store, process: u32) -> Outcome {
    let id = store.list().next().ok_or("no record")??.id;
    say("waiting")?;
    io::stdin().read_line(&mut String::new())?;
    for n in 0..20 {
        let tag = format!("{process}/{n}");
        store.tag(id, &tag)?;
        if n % 4 == 0 {
            store.untag(id, &tag)?;
        }
    }
    Ok(())
}

/// Notes something about the one record for each line that it reads, and says so.
fn note(store: &Store, process: u32) -> Outcome {
    let id = store.list().next().ok_or("no record")??.id;
    say("waiting")?;
    for line in io::stdin().lines() {
        store.note(id, Some(&format!("{} by {process}", line?)))?;
        say("noted")?;
    }
    Ok(())
}

/// Stores a result; its id.
fn put(store: &Store) -> Result<String> {
    store.put(b"the same".to_vec(), Some(Provenance::new("put"))).map(|id| id.to_string())
}

/// Asks for a cold result; its id and the process that computed it. Who computes says so, and waits for another line or
/// the end of standard input.
fn compute(store: &Store) -> Result<String> {
    let outcome = store.get_or_compute(&Provenance::new("cold"), || {
        let lead = || {
            say("leading")?;
            io::stdin().read_line(&mut String::new())
        };
        lead().map_err(|error| Error::io(error, "cannot compute"))?;
        Ok(process::id().to_string().into())
    })?;
    Ok(format!("{}/{}", outcome.id, String::from_utf8_lossy(&outcome.payload)))
}

/// Makes one change after the other, from the number `first` on, until it is killed; each that is acknowledged is told
/// by an empty line.
fn churn(place: &Path, durability: Durability, first: u32) -> Outcome {
    let store = open(place, durability)?;
    for number in first.. {
        carry_out(&store, number)?;
        io::stdout().write_all(b"\n")?;
    }
    Ok(())
}
