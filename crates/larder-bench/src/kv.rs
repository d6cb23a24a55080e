//! The lookup cache against what else keeps text keys and values on a disk.

use std::path::Path;

use crate::{
    Outcome,
    directories::Directories,
    random::{draw, shuffled},
    report::Report,
    rounds::{Table, Turn, compare_turns},
};

mod capped;
mod peer;
mod record;
mod space;
mod stores;
mod task;

use larder_kv_cache::Options;
use peer::Peer;
use stores::{Fjall, Larder, Memory, Redb, Sqlite};
use task::{Call, Contender, Task};

const ABOUT: &str = "\
Gene results of about 400 bytes as JSON, under keys such as `homo_sapiens:GENE000123:canonical`, in random order. A set
begins with the typed record and a get ends with it, so that what holds only bytes (all but the two in Python) writes
and parses JSON too. Medians are those of single calls, but the calls of `HashMap` and the dictionary's gets, of about
1 us, are timed by the hundred. The floor is bare rusqlite: a write-ahead log with `synchronous=NORMAL`, cached
statements, a table of key and value, one upsert in a transaction or one select. Larder, fjall and diskcache are as
they are by default; like the floor, they keep a write when the process is killed. redb's `Durability::None` does not,
but with its default each set would be a flush. diskcache has no cap on its size. `rewritten JSON` is a dictionary in
Python under a lock that each set writes to a JSON file as a whole. All files are in the page cache, and every entry has
been read once before gets are timed. A set replaces the value of a key that is there; of the keys that are split into
hits and misses, half are there. The caps are never reached: what is told is what it takes to count uses. Sizes are
those of all files of a store that was closed after its entries were removed one by one, and again after what it has
for that gave space back (`VACUUM` of SQLite, `vacuum` of Larder, compaction of redb and fjall).";

/// The last takes several minutes.
const SIZES: [usize; 3] = [1_000, MANY, 1_000_000];

/// How many entries are read, split, or set at once.
const MANY: usize = 100_000;

pub(crate) fn run(all: bool) -> Outcome<Report> {
    let dirs = Directories::new()?;
    let peer = Peer::start()?;
    if peer.is_none() {
        eprintln!("kv: nothing in Python takes part: `cargo xtask peers` makes target/peers");
    }
    let kinds = kinds(peer.as_ref());
    let (mut tables, mut reads) = (Vec::new(), Vec::new());
    for size in SIZES.into_iter().filter(|size| all || *size <= MANY) {
        let mut shelf = Shelf::fill(&dirs, &kinds, size)?;
        if size == MANY {
            shelf.read_all()?;
            reads.push(shelf.get("get as stored JSON", Call::GetJson)?);
            reads.push(shelf.get("get as a typed record", Call::Get)?);
            reads.push(shelf.hits_and_misses()?);
        }
        tables.push(shelf.set()?);
    }
    tables.push(set_many(&dirs, &kinds)?);
    tables.extend(reads);
    tables.extend(capped::all(&dirs, peer.as_ref())?);
    tables.extend(space::all(&dirs, peer.as_ref())?);
    let others = peer.as_ref().map_or("", Peer::versions).to_owned();
    Ok(Report { about: ABOUT, crates: &["rusqlite", "redb", "fjall"], others, tables })
}

type Open<'a> = Box<dyn Fn(&Path) -> Outcome<Box<dyn Contender + 'a>> + 'a>;

/// A contender, and how it is treated.
struct Kind<'a> {
    name: &'static str,
    open: Open<'a>,
    /// Whether it can hand out what it stores as it is.
    has_json: bool,
    /// How many calls are timed as one.
    group: usize,
    /// How many sets there are in a round.
    sets: usize,
    /// The most entries that it is tried with.
    limit: usize,
}

impl<'a> Kind<'a> {
    fn new<C: Contender + 'a>(name: &'static str, open: impl Fn(&Path) -> Outcome<C> + 'a) -> Self {
        let open: Open<'a> = Box::new(move |dir| Ok(Box::new(open(dir)?)));
        Self { name, open, has_json: true, group: 1, sets: 500, limit: usize::MAX }
    }
}

/// The floor comes first.
fn kinds(peer: Option<&Peer>) -> Vec<Kind<'_>> {
    let mut kinds = vec![
        Kind::new("rusqlite", Sqlite::open),
        larder("Larder, from memory", Options::default().memory(ROOM)),
        larder("Larder, from disk", Options::default().memory(0)),
        Kind::new("redb, Durability::None", Redb::open),
        Kind::new("fjall", Fjall::open),
    ];
    if let Some(peer) = peer {
        let open = |kind| move |dir: &Path| peer.open(kind, dir);
        let diskcache = Kind::new("diskcache", open("diskcache"));
        let rewritten = Kind::new("rewritten JSON", open("rewritten"));
        kinds.push(Kind { has_json: false, ..diskcache });
        kinds.push(Kind { has_json: false, group: 100, sets: 1, limit: MANY, ..rewritten });
    }
    kinds.push(Kind { group: 100, ..Kind::new("HashMap", |_: &Path| Ok(Memory::default())) });
    kinds
}

/// Memory for all entries that there are.
const ROOM: u64 = 2 << 30;

fn larder<'a>(name: &'static str, options: Options) -> Kind<'a> {
    Kind::new(name, move |dir: &Path| Larder::open(dir, options.clone()))
}

/// The contenders, each with the same entries.
struct Shelf<'k, 'p> {
    size: usize,
    filled: Vec<(&'k Kind<'p>, Box<dyn Contender + 'p>)>,
}

impl<'k, 'p> Shelf<'k, 'p> {
    fn fill(dirs: &Directories, kinds: &'k [Kind<'p>], size: usize) -> Outcome<Self> {
        let mut filled = Vec::new();
        for kind in kinds.iter().filter(|kind| size <= kind.limit) {
            eprintln!("filling {} with {size} entries", kind.name);
            let mut contender = (kind.open)(&dirs.next()?)?;
            for numbers in shuffled(0..size).chunks(MANY) {
                contender.run(&at_once(Call::SetMany, numbers.to_vec()))?;
            }
            filled.push((kind, contender));
        }
        dirs.settle()?;
        Ok(Self { size, filled })
    }

    fn read_all(&mut self) -> Outcome {
        let task = at_once(Call::GetAll, shuffled(0..self.size));
        self.filled.iter_mut().try_for_each(|(_, contender)| contender.run(&task).map(drop))
    }

    fn set(&mut self) -> Outcome<Table> {
        let size = self.size;
        let task = |kind: &Kind<'_>, round| {
            let numbers = draw(kind.sets, size, round);
            Task { call: Call::Set, numbers, version: 1 + round, group: kind.group }
        };
        self.compare(&format!("set, {} entries", grouped(size)), 10, |_| true, task)
    }

    fn get(&mut self, what: &str, call: Call) -> Outcome<Table> {
        let size = self.size;
        let task = |kind: &Kind<'_>, round| {
            let numbers = draw(2000, size, round);
            Task { call, numbers, version: 0, group: kind.group }
        };
        let takes_part = |kind: &Kind<'_>| kind.has_json || !matches!(call, Call::GetJson);
        self.compare(&format!("{what}, {} entries", grouped(size)), 10, takes_part, task)
    }

    fn hits_and_misses(&mut self) -> Outcome<Table> {
        let half = self.size / 2;
        let numbers = shuffled(half..half + self.size);
        let task = |_: &Kind<'_>, _| at_once(Call::HitsAndMisses, numbers.clone());
        let title = format!("hits_and_misses of {} keys", grouped(self.size));
        let table = self.compare(&title, 5, |_| true, task)?;
        Ok(Table { things: self.size, ..table })
    }

    /// Gives those that take part a task in each round.
    fn compare(
        &mut self,
        title: &str,
        rounds: usize,
        takes_part: impl Fn(&Kind<'_>) -> bool,
        task: impl Fn(&Kind<'_>, usize) -> Task,
    ) -> Outcome<Table> {
        let (task, mut contenders) = (&task, Vec::new());
        for (kind, contender) in self.filled.iter_mut().filter(|(kind, _)| takes_part(kind)) {
            let kind = *kind;
            let turn: Turn<'_> = Box::new(move |round| contender.run(&task(kind, round)));
            contenders.push((kind.name, turn));
        }
        compare_turns(title, rounds, contenders)
    }
}

/// Sets entries at once, each time in a store that has just been opened for the first time.
fn set_many(dirs: &Directories, kinds: &[Kind<'_>]) -> Outcome<Table> {
    let task = &at_once(Call::SetMany, shuffled(0..MANY));
    let mut contenders = Vec::new();
    for Kind { name, open, .. } in kinds {
        let turn: Turn<'_> = Box::new(move |_| {
            let mut contender = open(&dirs.next()?)?;
            dirs.settle()?;
            contender.run(task)
        });
        contenders.push((*name, turn));
    }
    let title = format!("set_many of {} into an empty cache", grouped(MANY));
    let table = compare_turns(&title, 5, contenders)?;
    Ok(Table { things: MANY, ..table })
}

/// A call about all of these.
fn at_once(call: Call, numbers: Vec<usize>) -> Task {
    Task { call, numbers, version: 0, group: 1 }
}

/// 1,000,000 as people write it.
fn grouped(number: usize) -> String {
    if number < 1000 {
        return number.to_string();
    }
    format!("{},{:03}", grouped(number / 1000), number % 1000)
}
