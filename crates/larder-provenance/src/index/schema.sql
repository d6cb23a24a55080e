-- One row for each stored result.
CREATE TABLE records (
    -- UUID of version 7, 16 bytes.
    id BLOB NOT NULL PRIMARY KEY,
    -- 0: there, with its payload. Others are kept for records whose payload was given up.
    state INTEGER NOT NULL DEFAULT 0,
    -- What kind of payload it is, and the version of that kind's format.
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    -- Nanoseconds since 1970: when the record was made, and when it last got its payload.
    created_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    -- The provenance: its key (32 bytes), its operation, and its JSON form. NULL where there is none.
    key BLOB,
    operation TEXT,
    provenance TEXT,
    -- The BLAKE3 digest of the payload, which names its object, and its bytes.
    payload BLOB NOT NULL,
    payload_len INTEGER NOT NULL,
    -- A JSON object about the payload.
    summary TEXT NOT NULL,
    -- How long computing it took, in nanoseconds. NULL where it was not measured.
    cost INTEGER,
    -- Whether garbage collection has to leave it, and what a person noted.
    pinned INTEGER NOT NULL DEFAULT 0,
    note TEXT,
    -- CRC-32C of the record.
    checksum INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX records_by_key ON records (key, kind) WHERE state = 0 AND key IS NOT NULL;
CREATE INDEX records_by_kind ON records (kind, id) WHERE state = 0;
CREATE INDEX records_by_payload ON records (payload, payload_len) WHERE state = 0;

-- One row for each input of each record: either a parent, which need not be in this table, or some content.
CREATE TABLE edges (
    child BLOB NOT NULL,
    -- From 0 on.
    position INTEGER NOT NULL,
    role TEXT,
    -- The id of a record, 16 bytes.
    parent BLOB,
    -- A BLAKE3 digest, 32 bytes.
    content BLOB,
    PRIMARY KEY (child, position),
    CHECK ((parent IS NULL) <> (content IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX edges_by_parent ON edges (parent) WHERE parent IS NOT NULL;
CREATE INDEX edges_by_content ON edges (content) WHERE content IS NOT NULL;

CREATE TABLE tags (
    tag TEXT NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (tag, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_id ON tags (id);
