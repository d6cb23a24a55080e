use larder_sqlite::Schema;

use crate::FORMAT_VERSION;

/// A row is live while its id is above the mark `cleared_through`, no row of `entry_tag` has an id at or below the mark
/// of its tag, and it has not expired. Ids only grow, so clearing is to raise a mark. `ranking` and the rows `bytes`,
/// `capacity` and `policy` of `meta` are there only under a cap. A row of `flight` says who computes a value; it means
/// nothing where its owner's lock is free.
pub(super) const SCHEMA: Schema = Schema {
    application_id: 0x4c5f_6b76, // "L_kv"
    version: FORMAT_VERSION,
    derived: false,
    create: "
        CREATE TABLE meta (
            name TEXT PRIMARY KEY,
            value ANY NOT NULL
        ) STRICT, WITHOUT ROWID;
        INSERT INTO meta (name, value) VALUES ('cleared_through', 0);
        CREATE TABLE entry (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            encoding INTEGER NOT NULL,
            crc32c INTEGER NOT NULL,
            written_at INTEGER NOT NULL,
            expires_at INTEGER,
            is_tagged INTEGER NOT NULL DEFAULT 0,
            value ANY NOT NULL
        ) STRICT;
        CREATE INDEX entry_by_expiry ON entry (expires_at) WHERE expires_at IS NOT NULL;
        CREATE TABLE tag (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            cleared_through INTEGER NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX tag_by_mark ON tag (cleared_through);
        CREATE TABLE entry_tag (
            id INTEGER PRIMARY KEY,
            entry INTEGER NOT NULL,
            tag INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX entry_tag_by_entry ON entry_tag (entry);
        CREATE INDEX entry_tag_by_tag ON entry_tag (tag);
        CREATE VIEW cleared_entry_tag AS
            SELECT entry_tag.id, entry FROM tag CROSS JOIN entry_tag ON tag = tag.id
            WHERE tag.cleared_through > 0 AND entry_tag.id <= tag.cleared_through;
        CREATE VIEW live_entry AS
            SELECT * FROM entry
            WHERE id > (SELECT value FROM meta WHERE name = 'cleared_through')
              AND NOT (is_tagged AND EXISTS (
                  SELECT 1 FROM entry_tag JOIN tag ON tag.id = entry_tag.tag
                  WHERE entry_tag.entry = entry.id AND entry_tag.id <= tag.cleared_through));
        CREATE TABLE ranking (
            entry INTEGER PRIMARY KEY,
            bytes INTEGER NOT NULL,
            rank INTEGER NOT NULL,
            used_at INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE flight (
            key TEXT PRIMARY KEY,
            owner TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX ranking_by_rank ON ranking (rank, used_at);
    ",
    rules: &[(
        "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM meta WHERE name = 'cleared_through' AND typeof(value) = 'integer')",
        "the mark of what was cleared is gone, so every read misses",
    )],
};
