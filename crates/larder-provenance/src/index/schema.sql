-- One row for each record: its text, and of it what is asked for.
CREATE TABLE records (
    -- UUID of version 7, 16 bytes.
    id BLOB NOT NULL PRIMARY KEY,
    -- What kind of payload it is.
    kind TEXT NOT NULL,
    -- 0 live, 1 doubtful, 2 collected, 3 invalid.
    state INTEGER NOT NULL,
    -- The key of the provenance (32 bytes) and its operation. NULL where there is none.
    key BLOB,
    operation TEXT,
    -- The BLAKE3 digest of the payload, which names its object, and its bytes.
    payload BLOB NOT NULL,
    payload_len INTEGER NOT NULL,
    -- The record itself, as it lies on the storage.
    record TEXT NOT NULL,
    -- When the object was published that was read, in nanoseconds since 1970. NULL where it was written here; -1 where it
    -- has still to be.
    modified INTEGER
) STRICT;

CREATE UNIQUE INDEX records_by_key ON records (key, kind) WHERE key IS NOT NULL;
CREATE INDEX records_by_kind ON records (kind, id) WHERE state < 2;
CREATE INDEX records_by_payload ON records (payload, payload_len) WHERE state < 2;
CREATE INDEX records_behind ON records (id) WHERE modified = -1;
CREATE INDEX records_by_operation ON records (operation, kind, id) WHERE operation IS NOT NULL;

-- What each record was made from: the id of a record, 16 bytes, which need not be in this table, or the digest of some
-- content, 32 bytes.
CREATE TABLE edges (
    source BLOB NOT NULL,
    child BLOB NOT NULL,
    PRIMARY KEY (source, child)
) STRICT, WITHOUT ROWID;

CREATE INDEX edges_by_child ON edges (child);

CREATE TABLE tags (
    tag TEXT NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (tag, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_id ON tags (id);

-- Has a row for as long as the storage was not read to its end.
CREATE TABLE unread (since INTEGER NOT NULL) STRICT;
INSERT INTO unread VALUES (0);
