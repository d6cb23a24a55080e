//! The integration suite: what only the whole workspace, the built command or several processes can show.
#![expect(
    clippy::disallowed_methods,
    reason = "tests damage and make files as other programs would"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod array;
mod array_command;
mod dependencies;
mod dirs;
mod dirs_command;
mod faults;
mod flight;
mod history;
mod integrity;
mod interchange;
mod kv;
mod kv_command;
mod misuse;
mod object;
mod power;
mod provenance;
mod provenance_command;
mod servers;
mod shards;
mod shards_command;
mod storage;
mod support;
mod survival;
mod tour;
mod workers;
