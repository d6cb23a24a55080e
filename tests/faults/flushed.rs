//! What is flushed when, seen from outside: journals make some file systems keep more than was asked for, so a power
//! cut on those cannot show that a flush is missing.

use std::collections::BTreeSet;

use super::*;

/// What a trace has changed and not flushed yet: files by their content, directories by their names.
#[derive(Default)]
struct Unflushed {
    places: BTreeSet<String>,
    /// The locks held by which others are kept out of a name: those of keys, and that of the publishers of trees.
    locks: BTreeSet<String>,
    locked: u32,
    acknowledged: bool,
}

impl Unflushed {
    fn see(&mut self, line: &str, root: &str) {
        let (Some((call, _)), false) = (line.split_once('('), line.contains(" = -1 ")) else {
            return;
        };
        let call = call.rsplit(' ').next().unwrap_or(call);
        let names: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let opened = line.split(['<', '>']).nth(1).unwrap_or_default();
        match (call, names.as_slice()) {
            ("write", _) if line.contains("(1<") => self.acknowledge(root),
            ("write" | "pwrite64", _) if opened.starts_with(root) => {
                self.places.insert(opened.to_owned());
            }
            ("fsync" | "fdatasync", _) => self.flush(opened),
            ("flock", _) if line.contains("LOCK_EX") => self.lock(opened),
            ("flock" | "close", _) => _ = self.locks.remove(opened),
            ("openat", [path, ..]) if line.contains("O_CREAT") => self.name(path, root),
            ("mkdir" | "mkdirat" | "unlink" | "unlinkat", [path, ..]) => self.name(path, root),
            ("rmdir", [path, ..]) => {
                self.places.remove(*path);
                self.name(path, root);
            }
            ("rename" | "renameat" | "renameat2", [from, to]) => self.publish(from, to, root),
            _ => {}
        }
    }

    fn lock(&mut self, file: &str) {
        if file.contains("/.larder/locks/") {
            self.locks.insert(file.to_owned());
            self.locked += 1;
        }
    }

    /// A device may take its time: nobody else has to wait for it.
    fn flush(&mut self, place: &str) {
        assert_eq!(self.locks, BTreeSet::new(), "{place} is flushed while a lock is held");
        self.places.remove(place);
    }

    /// A name changed, so its directory has to be flushed.
    fn name(&mut self, path: &str, root: &str) {
        let is_ours = path.starts_with(root) && !path.ends_with("/.larder");
        if let (true, Some((dir, _))) = (is_ours, path.rsplit_once('/')) {
            self.places.insert(dir.to_owned());
        }
    }

    /// What appears has to be flushed before, with all that is in it; what goes away need not be.
    fn publish(&mut self, from: &str, to: &str, root: &str) {
        let appears = !to.contains("/.larder/");
        let inside = |place: &&String| *place == from || place.starts_with(&format!("{from}/"));
        let early = self.places.iter().find(inside);
        assert!(!appears || early.is_none(), "{to} is published before {early:?} is flushed");
        self.places.retain(|place| !inside(&place));
        self.name(from, root);
        self.name(to, root);
    }

    fn acknowledge(&mut self, root: &str) {
        let private = format!("{root}/.larder");
        let left = self.places.iter().find(|place| !place.starts_with(&private));
        assert_eq!(left, None, "acknowledged before it is flushed");
        self.acknowledged = true;
    }
}

#[test]
fn all_that_changed_is_flushed_before_it_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    for what in CHANGES {
        // A root that is not there yet has to be made durable as well.
        let root = dir.join("new").join(what);
        if ["replace", "remove", "discard"].contains(&what) {
            prepare(&root);
        }
        let log = dir.join(format!("{what}.trace"));
        let trace = "trace=openat,close,write,pwrite64,fsync,fdatasync,flock,?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,\
                     ?unlinkat,?rmdir";
        let options = ["-s", "4096", "-o", log.to_str().unwrap(), "-e", trace];
        let Some(output) = strace("flushes before acknowledgement", &options, &root, what) else {
            return;
        };
        assert!(output.status.success(), "{what}: {}", text(&output.stderr));
        let mut unflushed = Unflushed::default();
        let lines = std::fs::read_to_string(&log).unwrap();
        lines.lines().for_each(|line| unflushed.see(line, root.to_str().unwrap()));
        assert!(unflushed.acknowledged, "{what}: {lines}");
        let takes_none = ["open", "discard"].contains(&what);
        assert_eq!(unflushed.locked, u32::from(!takes_none), "{what}: {lines}");
    }
}
