//! More arrays than memory, through a small budget.

use std::{fs, path::Path, thread, time::Duration};

use larder::lazy_array::{ArrayStore, LazyArray, MemoryBudget, Options, ndarray::ArrayView2};
use larder_storage::Result;

use super::array::{Outcome, say};

const BUDGET: u64 = 64 << 20;
/// How many elements a row has, and so 32 KiB.
const COLUMNS: usize = 4096;
/// Rows of the large array, which is of 1 GiB.
const ROWS: usize = 32 * SMALL_ROWS;
/// Rows of each of the small ones, which together are as large; each is of 32 MiB.
const SMALL_ROWS: usize = 1024;
/// Rows that are held in memory.
const CHUNK: usize = 128;

/// Streams an array in and out, then edits many, and says the most bytes of anonymous memory that it had meanwhile, and
/// how many arrays were spilled.
pub(crate) fn stream(place: &Path) -> Outcome {
    let mut peak = 0;
    let spills = thread::scope(|scope| {
        let work = scope.spawn(|| all(place));
        while !work.is_finished() {
            peak = anonymous().max(peak);
            thread::sleep(Duration::from_millis(1));
        }
        work.join().map_err(|_| "a thread panicked")
    })?;
    Ok(say(format_args!("{peak} {}", spills?))?)
}

fn all(place: &Path) -> Result<u64> {
    let budget = MemoryBudget::bytes(BUDGET);
    let store = ArrayStore::open(place, Options::default().budget(budget))?;
    large(&store)?;
    small(&store)?;
    Ok(store.budget().spills())
}

/// Writes the large array, reads it and removes it.
fn large(store: &ArrayStore) -> Result<()> {
    let array = write(store, "large", ROWS)?;
    let mut expected = vec![0; CHUNK * COLUMNS];
    for (at, chunk) in array.chunks(CHUNK)?.enumerate() {
        expected.fill(at as u64);
        assert!(chunk?.as_slice() == Some(&expected[..]), "chunk {at}");
    }
    drop(array);
    store.remove("large").map(|removed| assert!(removed))
}

/// Writes the small arrays, edits them, and looks whether the edits are there.
fn small(store: &ArrayStore) -> Result<()> {
    let keys = || (0..ROWS / SMALL_ROWS).map(|key| key.to_string());
    let arrays = keys().map(|key| write(store, &key, SMALL_ROWS));
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    for array in &arrays {
        // Each of its pages, so that all of it has to be in memory of its own.
        array.write()?.fill(u64::MAX);
    }
    for array in &arrays {
        let rows = array.rows(CHUNK - 1..CHUNK + 2)?;
        assert!(rows.iter().all(|element| *element == u64::MAX), "{}", array.key());
    }
    Ok(())
}

/// Writes an array whose elements say in which chunk they are.
fn write(store: &ArrayStore, key: &str, rows: usize) -> Result<LazyArray<u64>> {
    let mut writer = store.writer(key, &[rows, COLUMNS])?;
    let mut elements = vec![0; CHUNK * COLUMNS];
    for chunk in 0..rows / CHUNK {
        elements.fill(chunk as u64);
        let rows = ArrayView2::from_shape((CHUNK, COLUMNS), &elements);
        writer.append(rows.expect("as many elements as the shape has"))?;
    }
    writer.finish()
}

/// The bytes of anonymous memory that this process has in use.
fn anonymous() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes.and_then(|number| number.parse::<u64>().ok()).expect("RssAnon in /proc") << 10
}
