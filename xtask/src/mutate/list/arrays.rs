//! What is taken out of the arrays: their checks, their leases, and who is told.

use super::{
    super::{Mutant, Suite::Arrays},
    mutant,
};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant(
        Arrays,
        "arrays: second look under the lease before a new one is published",
        "larder-lazy-array/src/store.rs",
        "files.refuse_existing(key)?;\n        // What is known",
        "// What is known",
    ),
    mutant(
        Arrays,
        "arrays: look whether what is popped is what was read",
        "larder-lazy-array/src/store/mapping.rs",
        "array.0.refuse_replaced()?;",
        "",
    ),
    mutant(
        Arrays,
        "arrays: checksum of a spill before it is published",
        "larder-lazy-array/src/slot/flush.rs",
        "spilled.check(crc)",
        "{ let _ = crc; Ok(()) }",
    ),
    mutant(
        Arrays,
        "arrays: checksum of what was read whole",
        "larder-lazy-array/src/files/pair.rs",
        "if self.sidecar.accepts(self.file.len(), crc) {",
        "if true {",
    ),
    mutant(
        Arrays,
        "arrays: look whether edits start from what is published",
        "larder-lazy-array/src/files.rs",
        "Ok((mapped || known.any(|stamp| *stamp == found)).then_some(found))",
        "let _ = (mapped, known.next()); Ok(Some(found))",
    ),
    mutant(
        Arrays,
        "arrays: the attempt whose answer may be lost",
        "larder-lazy-array/src/files.rs",
        "origin.attempt = Some(stamp.clone());",
        "",
    ),
    mutant(
        Arrays,
        "arrays: number of changes that readers look at",
        "larder-lazy-array/src/files.rs",
        "self.changes.raise();",
        "",
    ),
    mutant(
        Arrays,
        "arrays: byte order of what is mapped",
        "larder-lazy-array/src/files/pair.rs",
        "endian == Endian::NATIVE && ",
        "endian == endian && ",
    ),
    mutant(
        Arrays,
        "arrays: detaching of what was removed",
        "larder-lazy-array/src/known.rs",
        "    old.detach();",
        "    let _ = old;",
    ),
    mutant(
        Arrays,
        "arrays: room of a spill that came back",
        "larder-lazy-array/src/scratch.rs",
        "self.file.punch(&self.extent);",
        "",
    ),
    mutant(
        Arrays,
        "arrays: use of an array whose zeros are asked for",
        "larder-lazy-array/src/slot/load.rs",
        "self.wake(&mut state);\n        state.busy = true;\n        drop(state);\n        // Whatever",
        "state.busy = true;\n        drop(state);\n        // Whatever",
    ),
    mutant(
        Arrays,
        "arrays: rest of an array whose zeros cannot be had",
        "larder-lazy-array/src/slot/load.rs",
        "        self.0.rest(&mut state);\n        self.0.settle(state);",
        "        self.0.settle(state);",
    ),
    mutant(
        Arrays,
        "arrays: links that lead out, before anything is removed",
        "larder-lazy-array/src/files.rs",
        "self.storage.head(&array_key)?;",
        "",
    ),
];
