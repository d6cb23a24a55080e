CREATE TABLE entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2, 3)),
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
    priority REAL NOT NULL DEFAULT 0,
    unranked INTEGER NOT NULL DEFAULT 1,
    checked_boot INTEGER
) STRICT;

CREATE INDEX entry_unfinished ON entry (key) WHERE state <> 1;
CREATE INDEX entry_behind ON entry (key) WHERE access_count <> meta_count;
CREATE INDEX entry_expiring ON entry (expires_at_ns) WHERE expires_at_ns IS NOT NULL;
CREATE INDEX entry_unranked ON entry (id) WHERE unranked = 1;

CREATE INDEX entry_size ON entry (size);

CREATE TABLE trash (
    id INTEGER PRIMARY KEY,
    size INTEGER NOT NULL CHECK (size >= 0)
) STRICT;

CREATE TABLE journal (
    name TEXT PRIMARY KEY,
    folded INTEGER NOT NULL CHECK (folded >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE fact (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO fact VALUES ('entries', 0), ('size', 0), ('used', 0), ('floor', 0.0);

CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN
    UPDATE fact SET value = value + (new.state = 1) WHERE name = 'entries';
    UPDATE fact SET value = value + (new.state = 1) * new.size WHERE name = 'size';
    UPDATE fact SET value = value + new.size WHERE name = 'used';
END;

CREATE TRIGGER entry_removed AFTER DELETE ON entry BEGIN
    UPDATE fact SET value = value - (old.state = 1) WHERE name = 'entries';
    UPDATE fact SET value = value - (old.state = 1) * old.size WHERE name = 'size';
    UPDATE fact SET value = value - old.size WHERE name = 'used';
END;

CREATE TRIGGER entry_changed AFTER UPDATE OF state, size ON entry BEGIN
    UPDATE fact SET value = value + (new.state = 1) - (old.state = 1) WHERE name = 'entries';
    UPDATE fact SET value = value + (new.state = 1) * new.size - (old.state = 1) * old.size WHERE name = 'size';
    UPDATE fact SET value = value + new.size - old.size WHERE name = 'used';
END;

CREATE TRIGGER trash_added AFTER INSERT ON trash BEGIN
    UPDATE fact SET value = value + new.size WHERE name = 'used';
END;

CREATE TRIGGER trash_removed AFTER DELETE ON trash BEGIN
    UPDATE fact SET value = value - old.size WHERE name = 'used';
END;
