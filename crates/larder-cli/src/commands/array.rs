//! `larder array`: what can be done with arrays.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use larder::{
    layout,
    lazy_array::{ArrayInfo, ArrayStore, Element, ElementWork, Options, ndarray::Axis},
    storage::{Error, ErrorKind, Result},
};
use serde_json::Value;

use super::{
    look::{self, Store},
    make_root,
};
use crate::{
    args::{Array, Arrays, Look},
    output::{self, Table},
};

/// Does what was asked. `root` is not asked for where a directory is named.
///
/// # Errors
/// `NotFound` where the arrays, or the one that is named, are not there; else those of the store.
pub(super) fn run(root: &dyn Fn() -> Result<PathBuf>, what: Array, json: bool) -> Result<()> {
    let look =
        |arrays, what| look::run_in(&dir(root, arrays)?, Store::Array, what, look::HELP, json);
    let existing = |arrays: Arrays| open(&dir(root, arrays)?);
    match what {
        Array::Ls { arrays, prefix } => list(&existing(arrays)?, &prefix, json),
        Array::Info { arrays, key } => {
            let store = existing(arrays)?;
            show(&key, &store.info(&key)?.ok_or_else(|| missing(&key))?, json)
        }
        Array::Import { arrays, file, key } => {
            let store = match arrays.dir {
                Some(dir) => open(&dir)?,
                None => {
                    let root = root()?;
                    make_root(&root)?;
                    open(&root.join(layout::ARRAYS))?
                }
            };
            show(&key, &store.import_npy(&key, &file)?, json)
        }
        Array::Export { arrays, key, file } => {
            let written = existing(arrays)?.export_npy(&key, &file)?;
            show(&key, &written.ok_or_else(|| missing(&key))?, json)
        }
        Array::Rows { arrays, key, rows } => print_rows(&existing(arrays)?, &key, rows, json),
        Array::Purge { arrays, keys } => purge(&existing(arrays)?, &keys, json),
        Array::Status { arrays } => look(arrays, Look::Status),
        Array::Verify { arrays } => look(arrays, Look::Verify),
        Array::Repair { arrays } => look(arrays, Look::Repair),
    }
}

/// The directory of the arrays that are there; one that was mistyped is not made.
fn dir(root: &dyn Fn() -> Result<PathBuf>, arrays: Arrays) -> Result<PathBuf> {
    match arrays.dir {
        Some(dir) if dir.is_dir() => Ok(dir),
        Some(dir) => {
            let message = "there is no such directory: name one that has arrays";
            Err(Error::new(ErrorKind::NotFound, message).at_path(dir))
        }
        None => {
            let root = root()?;
            look::check_root(&root)?;
            Ok(root.join(layout::ARRAYS))
        }
    }
}

fn open(dir: &Path) -> Result<ArrayStore> {
    ArrayStore::open(dir, Options::default())
}

fn missing(key: &str) -> Error {
    let message =
        format!("there is no array {key:?} here: `larder array ls` lists those that there are");
    Error::new(ErrorKind::NotFound, message)
}

fn list(store: &ArrayStore, prefix: &str, json: bool) -> Result<()> {
    let mut found = Vec::new();
    for key in store.keys()?.into_iter().filter(|key| key.as_str().starts_with(prefix)) {
        // One that was removed meanwhile is none.
        found.extend(store.info(key.as_str())?.map(|info| (key, info)));
    }
    if json {
        let all = found.iter().map(|(key, info)| Ok((key.to_string(), look::value(info)?)));
        return output::json(&all.collect::<Result<serde_json::Map<_, _>>>()?);
    }
    let mut table = Table::new(["key", "dtype", "shape", "bytes"]);
    for (key, info) in found {
        let key = output::one_line(key.as_str());
        table.row([key, info.dtype.to_string(), shape(&info), output::bytes(info.bytes)]);
    }
    output::print(&table.render())
}

fn shape(info: &ArrayInfo) -> String {
    let axes: Vec<String> = info.shape.iter().map(usize::to_string).collect();
    let order = if info.fortran_order { " F" } else { "" };
    format!("({}){order}", axes.join(", "))
}

fn show(key: &str, info: &ArrayInfo, json: bool) -> Result<()> {
    if json {
        return output::json(info);
    }
    let (dtype, shape, bytes) = (info.dtype, shape(info), output::bytes(info.bytes));
    output::print(&format!("{}  {dtype}  {shape}  {bytes}\n", output::one_line(key)))
}

fn print_rows(store: &ArrayStore, key: &str, rows: Range<usize>, json: bool) -> Result<()> {
    let info = store.info(key)?.ok_or_else(|| missing(key))?;
    let rows = info.dtype.run(Rows { store, key, rows })?;
    if json {
        let cell = |text: &String| {
            serde_json::from_str::<Value>(text).unwrap_or_else(|_| Value::from(text.as_str()))
        };
        let rows = rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>());
        return output::json(&rows.collect::<Vec<_>>());
    }
    let lines = rows.iter().map(|row| format!("{}\n", row.join("\t")));
    output::print(&lines.collect::<String>())
}

/// The elements of some rows as text.
struct Rows<'a> {
    store: &'a ArrayStore,
    key: &'a str,
    rows: Range<usize>,
}

impl ElementWork for Rows<'_> {
    type Output = Result<Vec<Vec<String>>>;

    fn run<A: Element>(self) -> Self::Output {
        let array = self.store.get::<A>(self.key)?.ok_or_else(|| missing(self.key))?;
        let rows = array.rows(self.rows)?;
        let texts = |row: larder::lazy_array::ndarray::ArrayViewD<'_, A>| {
            row.iter().map(A::to_string).collect()
        };
        Ok(rows.axis_iter(Axis(0)).map(texts).collect())
    }
}

fn purge(store: &ArrayStore, keys: &[String], json: bool) -> Result<()> {
    let (mut removed, mut missing) = (Vec::new(), Vec::new());
    for key in keys {
        if store.purge(key)? { &mut removed } else { &mut missing }.push(key);
    }
    output::removed(&removed, &missing, json)
}
