//! Where the database of a namespace lies.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use larder_storage::{Error, ErrorKind, Key, RESERVED_SEGMENT, Result};

const EXTENSION: &str = "sqlite";

/// The most bytes of a namespace as a file name: leaves room for what SQLite and `repair` add to it.
const MAX_LEN: usize = 200;

/// The database's file.
pub(crate) fn path(dir: &Path, namespace: &str) -> Result<PathBuf> {
    let name = Key::encode(namespace)?;
    if name.as_str().len() > MAX_LEN {
        let shown: String = namespace.chars().take(80).collect();
        let message = format!(
            "namespace {shown:?} needs more than {MAX_LEN} bytes as a file name: shorten it"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(home(dir)?.join(format!("{name}.{EXTENSION}")))
}

/// The namespaces that have a database, sorted.
pub(crate) fn list(dir: &Path) -> Result<Vec<String>> {
    let home = home(dir)?;
    let files = match fs::read_dir(&home) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let files =
        files.map_err(|error| Error::io(error, "cannot list the namespaces").at_path(&home))?;
    let mut names: Vec<String> =
        files.iter().filter_map(|file| namespace_of(&file.path())).collect();
    names.sort();
    Ok(names)
}

fn namespace_of(path: &Path) -> Option<String> {
    let is_database = path.extension()? == EXTENSION && path.is_file();
    is_database.then(|| Key::decode(path.file_stem()?.to_str()?)).flatten()
}

fn home(dir: &Path) -> Result<PathBuf> {
    // Joined to more it would become the working directory, which nobody named.
    if dir.as_os_str().is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "the path of the directory is empty"));
    }
    Ok(dir.join(RESERVED_SEGMENT).join("kv"))
}

/// Names an entry in a message, on one line.
pub(crate) fn place(namespace: &str, key: &str) -> String {
    let shown: String = key.chars().take(80).collect();
    format!("key {shown:?} in namespace {namespace:?}")
}
