-- opsctl set "memory", schema v1.0.0, for PostgreSQL 13 and newer.
-- Records, their events, agents, and what full-text ranking needs. Times are milliseconds since the epoch.
-- Text compares byte by byte (COLLATE "C"), so that every store sorts alike. Names are unqualified: search_path
-- decides.

CREATE TABLE IF NOT EXISTS memori_metadata (
  id           text COLLATE "C" PRIMARY KEY,
  namespace    text COLLATE "C" NOT NULL,
  key          text COLLATE "C" NOT NULL,
  folded_key   text COLLATE "C" NOT NULL,   -- lower case, for prefix and substring matches
  content      text COLLATE "C" NOT NULL,
  details      text COLLATE "C",
  title_tokens text COLLATE "C" NOT NULL,   -- the analyzer's tokens, separated by spaces
  body_tokens  text COLLATE "C" NOT NULL,
  search       tsvector,                    -- 'token':n, n = 3 x title count + body count; NULL: forgotten
  title_length bigint NOT NULL,             -- tokens
  body_length  bigint NOT NULL,
  deleted_at   bigint                       -- tombstone; NULL: visible
);

CREATE INDEX IF NOT EXISTS memori_metadata_search ON memori_metadata USING gin (search);
-- "C": a prefix is a range of this index
CREATE INDEX IF NOT EXISTS memori_metadata_folded_key ON memori_metadata (folded_key);
-- few: events of visible records are counted as all events less theirs
CREATE INDEX IF NOT EXISTS memori_metadata_forgotten ON memori_metadata (id) WHERE deleted_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS memori_events (
  id          text COLLATE "C" PRIMARY KEY,
  record_id   text COLLATE "C" NOT NULL REFERENCES memori_metadata (id),
  agent       text COLLATE "C",
  server      text COLLATE "C",
  success     boolean,                      -- NULL: unknown
  tags        jsonb NOT NULL,
  metadata    json NOT NULL,                -- not jsonb: it comes back as given, order of names included
  at          bigint NOT NULL,
  recorded_at bigint NOT NULL,              -- order of the write: of a tombstone and an event the later wins
  digest      text COLLATE "C" NOT NULL
);

CREATE INDEX IF NOT EXISTS memori_events_record ON memori_events (record_id, at, id);
CREATE INDEX IF NOT EXISTS memori_events_at ON memori_events (at, id);

CREATE TABLE IF NOT EXISTS memori_agents (
  name       text COLLATE "C" PRIMARY KEY,
  server     text COLLATE "C",
  status     text COLLATE "C" NOT NULL,
  last_seen  bigint NOT NULL,
  updated_at bigint NOT NULL                -- time of the write that set server and status
);

-- Document frequencies: ts_rank knows none, and counting them by query is slow.
CREATE TABLE IF NOT EXISTS memori_terms (
  term text COLLATE "C" PRIMARY KEY,
  df   bigint NOT NULL
) WITH (fillfactor = 70);

-- One row. A writer locks it first, so that writers take turns and never meet in a deadlock.
CREATE TABLE IF NOT EXISTS memori_statistics (
  id           integer PRIMARY KEY CHECK (id = 1),
  documents    bigint NOT NULL,
  title_length bigint NOT NULL,
  body_length  bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO memori_statistics VALUES (1, 0, 0, 0) ON CONFLICT DO NOTHING;

-- Parts of keys, and typos in them. Some hosts do not offer pg_trgm: everything works without this index, the
-- search for a part of a key then reads all keys.
DO $$
BEGIN
  CREATE EXTENSION IF NOT EXISTS pg_trgm;
  CREATE INDEX IF NOT EXISTS memori_metadata_key_trigrams ON memori_metadata USING gin (folded_key gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
  RAISE NOTICE 'pg_trgm cannot be had here (%): no trigram index on keys', SQLERRM;
END
$$;
