CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    size INTEGER NOT NULL CHECK (size >= 0),
    files INTEGER NOT NULL CHECK (files >= 0),
    listing BLOB NOT NULL CHECK (length(listing) = 32),
    built_at_ns INTEGER NOT NULL,
    last_access_ns INTEGER NOT NULL,
    access_count INTEGER NOT NULL CHECK (access_count >= 0),
    meta_count INTEGER NOT NULL,
    build_cost_ns INTEGER,
    pinned INTEGER NOT NULL DEFAULT 0,
    expires_at_ns INTEGER,
    policy_memory BLOB,
    checked_boot TEXT
) STRICT;

CREATE INDEX entry_unfinished ON entry (key) WHERE state <> 1;
CREATE INDEX entry_behind ON entry (key) WHERE access_count <> meta_count;

CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO fact VALUES ('entries', 0), ('size', 0);

CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN
    UPDATE fact SET value = value + 1 WHERE name = 'entries';
    UPDATE fact SET value = value + new.size WHERE name = 'size';
END;

CREATE TRIGGER entry_removed AFTER DELETE ON entry BEGIN
    UPDATE fact SET value = value - 1 WHERE name = 'entries';
    UPDATE fact SET value = value - old.size WHERE name = 'size';
END;

CREATE TRIGGER entry_resized AFTER UPDATE OF size ON entry BEGIN
    UPDATE fact SET value = value + new.size - old.size WHERE name = 'size';
END;
