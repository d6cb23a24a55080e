//! One root of a fleet that shares a remote tier.

use std::{
    error::Error,
    fs,
    io::{self, Write},
};

use larder::dir_cache::{DirCache, Options};
use larder_storage::{object, open_with};

/// Gets or builds the entry `cold` in the cache at `root` below the storage at `url`, and says each step on its standard
/// output. A builder waits until its standard input has a line or ends.
pub(crate) fn work(url: &str, root: &str) -> Result<(), Box<dyn Error>> {
    // Whoever starts several of these has probed the server.
    let storage = open_with(url, &object::Options::default().probe(false))?;
    let cache = DirCache::open(root, Options::default())?.with_remote(storage)?;
    say("waiting")?;
    let lease = cache.get_or_build("cold", |stage| {
        let build = || {
            say("building")?;
            io::stdin().read_line(&mut String::new())?;
            fs::File::create(stage.join("builder"))?.write_all(root.as_bytes())
        };
        build().map_err(|error| larder_storage::Error::io(error, "cannot build").at_path(stage))
    })?;
    Ok(say(&format!("has that of {}", fs::read_to_string(lease.path().join("builder"))?))?)
}

fn say(step: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{step}")?;
    out.flush()
}
