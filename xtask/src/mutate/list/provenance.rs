//! What is taken out of results: their checksums, what is looked at before and after a computation, and what is published.

use super::{
    super::{
        Mutant,
        Suite::{CrowdedResults, Results},
    },
    mutant,
};

pub(super) const MUTANTS: &[Mutant] = &[
    mutant(
        Results,
        "results: checksum of the text of a record",
        "larder-provenance/src/row.rs",
        "sum == format!(\"{found:08x}\")",
        "sum == format!(\"{found:08x}\") || true",
    ),
    mutant(
        Results,
        "results: digest of a payload that is read",
        "larder-provenance/src/blobs.rs",
        "if Digest::of(&bytes) == *payload {",
        "if Digest::of(&bytes) == *payload || true {",
    ),
    mutant(
        Results,
        "results: payload that is written again at power",
        "larder-provenance/src/blobs.rs",
        "!self.durability.syncs() && !self.is_shared",
        "!self.is_shared",
    ),
    mutant(
        Results,
        "results: flight of a computation",
        "larder-provenance/src/store.rs",
        "let _lease = self.backend.flights.enter(&format!(\"{}/{key}\", T::KIND))?;",
        "",
    ),
    mutant(
        Results,
        "results: second look under the lease before a computation",
        "larder-provenance/src/store.rs",
        "let stale = match self.backend.look_up(T::KIND, &key)? {",
        "let stale = match Lookup::Miss {",
    ),
    mutant(
        Results,
        "results: payloads of the inputs as they were before a computation",
        "larder-provenance/src/store.rs",
        "let seen = self.backend.seen(provenance)?;\n        let Made { payload, encoded, cost } = make()?;",
        "let Made { payload, encoded, cost } = make()?;\n        let seen = self.backend.seen(provenance)?;",
    ),
    mutant(
        Results,
        "results: other result of the same provenance",
        "larder-provenance/src/backend/keep.rs",
        "let is_same = content.is_same(&known.content);",
        "let is_same = true;",
    ),
    mutant(
        Results,
        "results: condition of the first publication of a record",
        "larder-provenance/src/published.rs",
        "let mut condition = PutIf::Absent;",
        "let mut condition = PutIf::Always;",
    ),
    mutant(
        CrowdedResults,
        "results: turn at the publication of a change",
        "larder-provenance/src/backend.rs",
        "let _turn = self.turn(&row.place()?)?;\n            let Some(row) = now()?",
        "let Some(row) = now()?",
    ),
    mutant(
        CrowdedResults,
        "results: mark of a change that has still to be published",
        "larder-provenance/src/index/sqlite.rs",
        "Object::Behind => Some(BEHIND),",
        "Object::Behind => None,",
    ),
    mutant(
        CrowdedResults,
        "results: publication of what a killed process changed",
        "larder-provenance/src/backend.rs",
        "backend.publish_behind()?;\n        Ok(backend)",
        "Ok(backend)",
    ),
    mutant(
        Results,
        "results: doubt of what was made from what is doubtful",
        "larder-provenance/src/backend/states.rs",
        "rows.push(row.in_state(row.state.doubted()));\n                open.push(child);",
        "rows.push(row.in_state(row.state.doubted()));",
    ),
    mutant(
        Results,
        "results: payloads of the inputs of a doubtful record",
        "larder-provenance/src/backend/states.rs",
        "Some(parent) if Some(parent.content.payload) != seen => return Ok(Vec::new()),",
        "",
    ),
    mutant(
        Results,
        "results: use of a payload by other records",
        "larder-provenance/src/backend.rs",
        "if !index.is_used(payload)? && !index.is_unread()? {",
        "if !index.is_unread()? {",
    ),
    mutant(
        Results,
        "results: pin against collection",
        "larder-provenance/src/store/upkeep.rs",
        ".partition(|row| !row.pinned && row.key.is_some());",
        ".partition(|row| row.key.is_some());",
    ),
    mutant(
        Results,
        "results: time in which a payload waits for its record",
        "larder-provenance/src/store/upkeep.rs",
        "if !is_old || records",
        "if records",
    ),
];
