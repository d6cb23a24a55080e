//! How much memory it takes to work on more than fits into the budget.

use std::{fs, path::PathBuf};

use larder_lazy_array::{ArrayStore, LazyArray, MemoryBudget, Options};
use larder_storage::Durability;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{COLUMNS, MIB, ROW, Scale, shelf::NAME};
use crate::{
    Outcome,
    directories::Directories,
    peak,
    rounds::{Row, Table, Unit},
};

/// How many rows are appended or read at once: 1 MiB.
const CHUNK: usize = 128;

/// What a process does before it prints its peak.
#[derive(Serialize, Deserialize)]
struct Task {
    work: Work,
    dir: PathBuf,
    /// How many rows there are in all.
    rows: usize,
    budget: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Work {
    Write,
    Read,
    Spill,
}

pub(super) fn all(dirs: &Directories, scale: &Scale) -> Outcome<Table> {
    let (streamed, budget) = (scale.streamed / MIB, scale.budget / MIB);
    let title = format!("peak of anonymous memory, {streamed} MiB through {budget} MiB");
    eprintln!("{title}");
    let (streamed, many) = (dirs.next()?, dirs.next()?);
    let row = |name: &str, value: f64| Row {
        name: name.into(),
        value,
        of_floor: value / scale.budget as f64,
    };
    let mut rows = vec![row("the budget", scale.budget as f64)];
    let works = [
        ("Larder, writing chunks", Work::Write, &streamed),
        ("Larder, reading chunks", Work::Read, &streamed),
        ("Larder, editing arrays", Work::Spill, &many),
    ];
    for (name, work, dir) in works {
        let (dir, budget) = (dir.clone(), scale.budget);
        rows.push(row(
            name,
            peak::of("array", &Task { work, dir, rows: scale.streamed / ROW, budget })?,
        ));
    }
    fs::remove_dir_all(streamed)?;
    fs::remove_dir_all(many)?;
    Ok(Table { title, unit: Unit::Bytes, rounds: 1, things: 1, rows })
}

/// Does the task of a process whose memory is measured.
pub(crate) fn child(task: &str) -> Outcome {
    let task: Task = serde_json::from_str(task)?;
    task.run()
}

impl Task {
    fn run(&self) -> Outcome {
        let budget = MemoryBudget::bytes(self.budget as u64);
        let options = Options::default().budget(budget).durability(Durability::Scratch);
        let store = ArrayStore::open(&self.dir, options)?;
        match self.work {
            Work::Write => write(&store, NAME, self.rows, number).map(drop),
            Work::Read => self.read(&store),
            Work::Spill => self.spill(&store),
        }
    }

    fn read(&self, store: &ArrayStore) -> Outcome {
        let array = store.get::<f32>(NAME)?.ok_or("the array is gone")?;
        for (chunk, first) in array.chunks(CHUNK)?.zip((0..).step_by(CHUNK)) {
            check(chunk?.iter().all(|element| *element == number(first)))?;
        }
        Ok(())
    }

    /// Edits one array after the other, each a quarter of the budget, and then looks at all of them.
    fn spill(&self, store: &ArrayStore) -> Outcome {
        let rows = self.budget / 4 / ROW;
        let mut arrays = Vec::new();
        for at in 0..self.rows / rows {
            let array = write(store, &format!("{NAME}-{at}"), rows, |_| at as f32)?;
            array.write()?.map_inplace(|element| *element += 1.0);
            arrays.push(array);
        }
        for (at, array) in arrays.iter().enumerate() {
            check(array.read()?.iter().all(|element| *element == at as f32 + 1.0))?;
        }
        check(store.budget().spills() > 0)
    }
}

/// What all elements of the chunk are that begins with this row.
fn number(first: usize) -> f32 {
    (first / CHUNK) as f32
}

fn write(
    store: &ArrayStore,
    key: &str,
    rows: usize,
    element: impl Fn(usize) -> f32,
) -> Outcome<LazyArray<f32>> {
    let mut writer = store.writer::<f32>(key, &[rows, COLUMNS])?;
    for first in (0..rows).step_by(CHUNK) {
        let chunk = Array2::from_elem((CHUNK.min(rows - first), COLUMNS), element(first));
        writer.append(chunk.view())?;
    }
    Ok(writer.finish()?)
}

fn check(is_right: bool) -> Outcome {
    if is_right { Ok(()) } else { Err("an array is not what was written".into()) }
}
