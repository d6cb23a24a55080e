//! Directories as cache entries against bare system calls and what else keeps such entries.

use crate::{Outcome, directories::Directories, report::Report};

mod build;
mod cycle;
mod lease;
mod replay;
mod shelf;
mod traces;
mod walk;

use shelf::{Root, Shelf};

const ABOUT: &str = "\
Entries of 4 files of 4 KiB as Larder, vcti-file-cache (whose entries Larder adopts), a cache in Python in the manner
of osbuild's (an object is staged, renamed, and held by a shared `flock` on a file in it) and cacache (which keeps
contents by their hash, and no directories) keep them. Larder is as it is by default, but for its thread, which would
run a cycle meanwhile; vcti-file-cache has no thread either. A lease is taken on an entry that is there, and released:
medians are those of single calls at random keys, and the count of accesses is checked in the end. The floor opens and
locks a file and looks at a directory; cacache reads, and checks, a list of the names of an entry's files. A build
writes the same files everywhere, each entry under a new key; in cacache they are 4 contents. What is idle is a cycle
that finds nothing to evict and nothing to write; there the first row is Larder's. An open finds everything in the
page cache, and its floor lists the names of all entries. A recount measures every file, and so does
`compute_dir_size` of vcti-file-cache for each entry, which is told which entries there are. Traces are those in the
source package of libcachesim: a cache without files has the given share of the bytes of all objects, asks Larder's
public policies for its victims at each miss that needs room, as a directory cache would, and never evicts the newest.
libcachesim's caches are of the same size. The cost of building an object is drawn at random for each, and known to
one of the policies.";

pub(crate) fn run(all: bool) -> Outcome<Report> {
    let dirs = Directories::new()?;
    let shelf = Shelf::new(&dirs)?;
    let root = |entries| {
        eprintln!("filling a root with {entries} entries");
        Root::adopted(&dirs, entries)
    };
    let (few, some, many) = (root(100)?, root(2000)?, root(10_000)?);
    dirs.settle()?;
    let mut tables = vec![lease::all(&shelf, &few)?, lease::all(&shelf, &many)?];
    tables.push(build::all(&shelf)?);
    tables.extend([cycle::all(&shelf, &some)?, cycle::all(&shelf, &many)?]);
    tables.push(walk::recount(&shelf, &many)?);
    tables.push(walk::open(&many)?);
    if all {
        let most = root(100_000)?;
        dirs.settle()?;
        tables.extend([cycle::all(&shelf, &most)?, walk::open(&most)?]);
    }
    let mut others = shelf.versions.clone();
    if let Some((of_traces, version)) = traces::all(&dirs, all)? {
        tables.extend(of_traces);
        others = format!("{others}, {version}");
    }
    Ok(Report { about: ABOUT, crates: &["cacache"], others, tables })
}
