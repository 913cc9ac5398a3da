-- opsctl set "memory", schema v1.0.0, for SQLite 3.35 and newer.
-- Records, their events, agents, and what full-text ranking needs. Times are milliseconds since the epoch.

CREATE TABLE IF NOT EXISTS memori_metadata (
  row_id       INTEGER PRIMARY KEY,
  id           TEXT NOT NULL UNIQUE,
  namespace    TEXT NOT NULL,
  key          TEXT NOT NULL,
  folded_key   TEXT NOT NULL,            -- lower case, for prefix and substring matches
  content      TEXT NOT NULL,
  details      TEXT,
  title_length INTEGER NOT NULL,         -- tokens indexed
  body_length  INTEGER NOT NULL,
  deleted_at   INTEGER                   -- tombstone; NULL: visible
);

CREATE INDEX IF NOT EXISTS memori_metadata_folded_key ON memori_metadata (folded_key);

CREATE TABLE IF NOT EXISTS memori_events (
  id          TEXT NOT NULL PRIMARY KEY,
  record      INTEGER NOT NULL REFERENCES memori_metadata (row_id),
  agent       TEXT,
  server      TEXT,
  success     INTEGER,                   -- 1, 0 or NULL (unknown)
  tags        TEXT NOT NULL,             -- JSON array
  metadata    TEXT NOT NULL,             -- JSON object
  at          INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  digest      TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS memori_events_record ON memori_events (record, at, id);
CREATE INDEX IF NOT EXISTS memori_events_at ON memori_events (at, id);

CREATE TABLE IF NOT EXISTS memori_agents (
  name       TEXT NOT NULL PRIMARY KEY,
  server     TEXT,
  status     TEXT NOT NULL,
  last_seen  INTEGER NOT NULL,
  updated_at INTEGER NOT NULL            -- time of the write that set server and status
) WITHOUT ROWID;

-- Prepared tokens, verbatim: the analyzer has lower-cased, stemmed and split them; unicode61 would split x86_64.
CREATE VIRTUAL TABLE IF NOT EXISTS memori_index USING fts5 (title, body, tokenize = "ascii tokenchars '_'");

-- Document frequencies: fts5vocab needs 25 ms for a long query, this table .6 ms.
CREATE TABLE IF NOT EXISTS memori_terms (
  term TEXT NOT NULL PRIMARY KEY,
  df   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS memori_statistics (
  id           INTEGER PRIMARY KEY CHECK (id = 1),
  documents    INTEGER NOT NULL,
  title_length INTEGER NOT NULL,
  body_length  INTEGER NOT NULL
);

INSERT OR IGNORE INTO memori_statistics VALUES (1, 0, 0, 0);
