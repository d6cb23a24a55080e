//! What is taken out of the directories: their leases, what is announced before it is done, and what is counted once.

use super::{
    super::{Mutant, Suite::Dirs},
    mutant,
};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant(
        Dirs,
        "dirs: lock that keeps what is leased from removal",
        "larder-dir-cache/src/removal.rs",
        "let Some(lock) = FileLock::try_exclusive(&self.lease_file(key))? else {",
        "let Some(lock) = FileLock::try_shared(&self.lease_file(key))? else {",
    ),
    mutant(
        Dirs,
        "dirs: flight of a build",
        "larder-dir-cache/src/build.rs",
        "let _flight = core.flights.enter(key.as_str())?;",
        "",
    ),
    mutant(
        Dirs,
        "dirs: announcement of a removal",
        "larder-dir-cache/src/removal.rs",
        "Why::Asked => self.index.begin_removal(key.as_str()),",
        "Why::Asked => Ok(true),",
    ),
    mutant(
        Dirs,
        "dirs: place in the index of what lies in the trash",
        "larder-dir-cache/src/index/change.rs",
        "tx.execute(counted, [key])?;",
        "let _ = counted;",
    ),
    mutant(
        Dirs,
        "dirs: settling of what dead processes left",
        "larder-dir-cache/src/settle.rs",
        "Ok(self.settle_all(missing.chain(unfinished).chain(scan.unknown)))",
        "drop(unfinished);\n        Ok(self.settle_all(missing.chain(scan.unknown)))",
    ),
    mutant(
        Dirs,
        "dirs: look whether what is published came whole",
        "larder-dir-cache/src/settle.rs",
        "if !tree.has_files_of(&row) {\n            if row.checked_boot",
        "if false {\n            if row.checked_boot",
    ),
    mutant(
        Dirs,
        "dirs: deletion of what dead processes left in the trash",
        "larder-dir-cache/src/core.rs",
        "core.empty_trash()?;",
        "",
    ),
    mutant(
        Dirs,
        "dirs: mark in the journal of what is counted",
        "larder-dir-cache/src/index/journals.rs",
        "tx.prepare_cached(update)?.execute(params![name, end])?;",
        "let _ = (update, end);",
    ),
    mutant(
        Dirs,
        "dirs: lock of a journal that may grow",
        "larder-dir-cache/src/journal.rs",
        "file.lock().map(|()| file)",
        "Ok(file)",
    ),
    mutant(
        Dirs,
        "dirs: check of the limit",
        "larder-dir-cache/src/index/room.rs",
        "missing => Room::Short(missing),",
        "_ => Room::Taken,",
    ),
    mutant(
        Dirs,
        "dirs: room that others took while it was made",
        "larder-dir-cache/src/evict.rs",
        "is_met || !gone.is_empty() || fell()",
        "!gone.is_empty() || fell()",
    ),
    mutant(
        Dirs,
        "dirs: lock of the leader",
        "larder-dir-cache/src/worker.rs",
        "FileLock::try_exclusive(&self.storage.root()",
        "FileLock::try_shared(&self.storage.root()",
    ),
    mutant(
        Dirs,
        "dirs: metadata that follows the index",
        "larder-dir-cache/src/accesses.rs",
        "Ok(meta::write(self.storage.stage(), &path, &row)?.then_some(row))",
        "Ok(Some(row).filter(|_| path.exists()))",
    ),
];
