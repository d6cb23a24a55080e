//! What a benchmark ran on.

use std::{fs, process::Command, thread};

use crate::report::repository;

/// The processor, the system, the file system and the versions, as one phrase that `others` may end.
pub(crate) fn describe(crates: &[&str], others: &str) -> String {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap_or_default();
    let mut parts = vec![processor(), told("uname", &["-sr"]), file_system()];
    parts.push(told("rustc", &["--version"]));
    parts
        .extend(crates.iter().filter_map(|name| Some(format!("{name} {}", version(&lock, name)?))));
    parts.extend((!others.is_empty()).then(|| others.to_owned()));
    parts.join(", ")
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = thread::available_parallelism().map_or(1, usize::from);
    format!("{count} x {}", model.map_or("processor of no known name", |(_, model)| model.trim()))
}

/// The type of the file system that the benchmarks write to.
fn file_system() -> String {
    let target = repository().join("target");
    let path = target.to_string_lossy();
    let table = told("df", &["--output=fstype", &path]);
    table.lines().last().unwrap_or("unknown").trim().to_owned()
}

fn told(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| format!("no {program}"))
}

/// The version of a package in the text of a lock file.
fn version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"b\"\n";
        assert_eq!(version(lock, "a"), Some("1.2.3"));
        assert_eq!(version(lock, "b"), None);
    }
}
