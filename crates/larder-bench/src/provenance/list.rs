//! What it takes to list all tracks.

use larder_provenance::{Chroms, Interval, IntervalTrack, Options, Provenance, TrackStore};
use larder_storage::Digest;

use crate::{
    Outcome,
    directories::Directories,
    rounds::{Table, Turn, compare_turns, once},
};

const ROUNDS: usize = 5;

pub(super) fn all(dirs: &Directories, tracks: usize) -> Outcome<Table> {
    eprintln!("filling a store with {tracks} tracks");
    let (durable, in_memory) =
        (TrackStore::open(dirs.next()?, Options::default())?, TrackStore::in_memory());
    for store in [&durable, &in_memory] {
        for number in 0..tracks {
            let interval =
                Interval { chrom: "chr1".to_owned(), start: 1, end: 9, ..Interval::default() };
            let track = IntervalTrack {
                label: format!("track {number}").into(),
                intervals: vec![interval],
            };
            let chroms = Chroms::from([("chr1".to_owned(), 1000)]);
            let made = Provenance::new("genes").input(Digest::of(b"genome")).param("n", number);
            store.put(track, chroms, Some(made))?;
        }
    }
    let bare = bare(dirs, tracks)?;
    let select: Turn<'_> = Box::new(|_| {
        once(|| {
            let mut query = bare.prepare_cached("SELECT id, record FROM records ORDER BY id")?;
            let mut rows = query.query([])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                count += usize::from(row.get_ref(1)?.as_str()?.len() == TEXT);
            }
            check(count, tracks)
        })
    });
    let list = |store: TrackStore| -> Turn<'_> {
        Box::new(move |_| {
            once(|| {
                let labels = store.list_all().map(|track| track.map(|track| track.label));
                check(labels.filter(Result::is_ok).count(), tracks)
            })
        })
    };
    let contenders = vec![
        ("bare rusqlite, select", select),
        ("Larder, durable", list(durable)),
        ("Larder, in memory", list(in_memory)),
    ];
    compare_turns(&format!("list_all of {tracks} tracks"), ROUNDS, contenders)
}

fn check(found: usize, expected: usize) -> Outcome {
    if found == expected { Ok(()) } else { Err("a track is missing".into()) }
}

/// How many bytes the text of a record has, about.
const TEXT: usize = 635;

fn bare(dirs: &Directories, rows: usize) -> Outcome<rusqlite::Connection> {
    let mut db = rusqlite::Connection::open(dirs.next()?.join("bare.sqlite"))?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; CREATE TABLE records (id INTEGER PRIMARY KEY, record TEXT)",
    )?;
    let tx = db.transaction()?;
    for number in 0..rows {
        tx.prepare_cached("INSERT INTO records VALUES (?1, ?2)")?
            .execute(rusqlite::params![number, "x".repeat(TEXT)])?;
    }
    tx.commit()?;
    Ok(db)
}
