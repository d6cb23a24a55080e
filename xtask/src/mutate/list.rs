//! What is taken out of `larder-storage`, one at a time: each flush, each rename, each lock.

use super::Mutant;

const STORAGE: &str = "crates/larder-storage/src/";

/// In the order of the files. A snippet names its place alone, so it has to occur there exactly once.
pub(super) const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "flush of a file before it is published",
        file: "publish.rs",
        snippet: "file.sync_all().map_err(failed)?;",
        replacement: "",
    },
    Mutant {
        name: "flush of the directory of a published file",
        file: "publish.rs",
        snippet: "drop(file);\n        slot.rename(target)?;\n        slot.settle(target)",
        replacement: "drop(file);\n        slot.rename(target)",
    },
    Mutant {
        name: "flush of a tree before it is published",
        file: "publish.rs",
        snippet: "sync::tree(&slot.path)?;",
        replacement: "",
    },
    Mutant {
        name: "flush of the directory of a published tree",
        file: "publish.rs",
        snippet: "}\n        slot.rename(target)?;\n        slot.settle(target)",
        replacement: "}\n        slot.rename(target)",
    },
    Mutant {
        name: "flush of the directory of a discarded tree",
        file: "publish.rs",
        snippet: "self.settle(target)?;",
        replacement: "",
    },
    Mutant {
        name: "flush of the parents of new directories",
        file: "publish.rs",
        snippet: ".try_for_each(sync::flush)?;",
        replacement: ".for_each(drop);",
    },
    Mutant {
        name: "rename of what is published",
        file: "publish.rs",
        snippet: "fs::rename(&self.path, target)",
        replacement: "fs::copy(&self.path, target).map(drop)",
    },
    Mutant {
        name: "rename of what is discarded",
        file: "publish.rs",
        snippet: "fs::rename(target, &slot.path)",
        replacement: "fs::remove_dir_all(target)",
    },
    Mutant {
        name: "rename of what is set aside",
        file: "publish.rs",
        snippet: "fs::rename(path, target).map_err(failed)",
        replacement: "Ok(())",
    },
    Mutant {
        name: "lock of the publishers of trees",
        file: "publish.rs",
        snippet: "let _alone = FileLock::exclusive(&alone)?;",
        replacement: "",
    },
    Mutant {
        name: "lock of the sweepers, while an area is claimed",
        file: "publish/area.rs",
        snippet: "let sweeping = FileLock::exclusive(&stage.join(\"lock\"))?;",
        replacement: "fs::create_dir_all(stage).unwrap(); let sweeping = ();",
    },
    Mutant {
        name: "lock of the sweepers, while they sweep",
        file: "publish/area.rs",
        snippet: "let _sweeping = FileLock::exclusive(&stage.join(\"lock\"))?;",
        replacement: "",
    },
    Mutant {
        name: "lock that says that an area lives",
        file: "publish/area.rs",
        snippet: "alive: Some(alive)",
        replacement: "alive: Some(alive).filter(|_| false)",
    },
    Mutant {
        name: "lock that a sweeper asks for",
        file: "publish/area.rs",
        snippet: "FileLock::try_exclusive(&lock_of(area))?",
        replacement: "Some(FileLock::exclusive(&area.with_extension(\"nobody\"))?)",
    },
    Mutant {
        name: "flush of the directories above the parent",
        file: "publish/sync.rs",
        snippet: "below.chain([root])",
        replacement: "below.chain([root]).take(1)",
    },
    Mutant {
        name: "flush of each directory of a tree below its root",
        file: "publish/sync.rs",
        snippet: "tree(&entry.path())?;",
        replacement: "",
    },
    Mutant {
        name: "flush of each file of a tree",
        file: "publish/sync.rs",
        snippet: "flush(&entry.path())?;",
        replacement: "",
    },
    Mutant {
        name: "flush of a tree's own directories",
        file: "publish/sync.rs",
        snippet: "    flush(dir)\n",
        replacement: "    Ok(())\n",
    },
    Mutant {
        name: "flush of anything by its path",
        file: "publish/sync.rs",
        snippet: "File::open(path)?.sync_all()",
        replacement: "File::open(path).map(drop)",
    },
    Mutant {
        name: "flush of the directory of a removed object",
        file: "local.rs",
        snippet: "self.stage.settle(&path)?;",
        replacement: "",
    },
    Mutant {
        name: "lock of a key, while its object is removed",
        file: "local.rs",
        snippet: "let _lock = self.root.lock(key)?;",
        replacement: "",
    },
    Mutant {
        name: "lock of a key, while its object is published",
        file: "local/root.rs",
        snippet: "let _lock = self.lock(key)?;",
        replacement: "",
    },
    Mutant {
        name: "taking of a lock that is waited for",
        file: "lock.rs",
        snippet: "lock(&file, mode).map_err(|error| failed(error, path))?;",
        replacement: "",
    },
    Mutant {
        name: "second look at a lock file that was waited for",
        file: "lock.rs",
        snippet: "if is_current(&file, path).map_err(|error| failed(error, path))? {\n                return Ok(Self",
        replacement: "if true {\n                return Ok(Self",
    },
    Mutant {
        name: "taking of an exclusive lock that is asked for",
        file: "lock.rs",
        snippet: "Mode::Exclusive => file.try_lock(),",
        replacement: "Mode::Exclusive => Ok(()),",
    },
    Mutant {
        name: "taking of a shared lock that is asked for",
        file: "lock.rs",
        snippet: "Mode::Shared => file.try_lock_shared(),",
        replacement: "Mode::Shared => Ok(()),",
    },
];

/// Where the snippet of a mutant lies, from the root of the workspace.
pub(super) fn path(mutant: &Mutant) -> String {
    format!("{STORAGE}{}", mutant.file)
}
