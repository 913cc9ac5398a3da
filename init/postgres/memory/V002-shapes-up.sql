-- opsctl set "memory", schema v1.1.0, for PostgreSQL 13 and newer.
-- Shapes: one token for each line of a record that holds values which change (times, addresses, ids), so that the same error with
-- other values is found. They stand in "search" beside the words. What is there was indexed without them (version 1) and answers as before;
-- `opsctl maintain postgres` makes it anew. New columns with a constant default rewrite nothing: the table is locked for an instant only.

ALTER TABLE memori_metadata
  ADD COLUMN IF NOT EXISTS shape_tokens text COLLATE "C" NOT NULL DEFAULT '',  -- separated by spaces
  ADD COLUMN IF NOT EXISTS index_version integer NOT NULL DEFAULT 1;           -- of the analyzer that made the tokens

-- version of the oldest entry of the index
ALTER TABLE memori_statistics ADD COLUMN IF NOT EXISTS index_version integer NOT NULL DEFAULT 1;

UPDATE memori_statistics SET index_version = 2 WHERE documents = 0;

-- A GIN index collects new entries in a list, and the writer who fills it puts them all into their places: with the usual 4 MB a single
-- remember took 0.8 s after an import into a million records. With 64 kB, the least there is, the longest needed 30 ms of processor time;
-- without a list 8 ms, but then an import is half as fast.
SELECT gin_clean_pending_list(index) FROM (VALUES ('memori_metadata_search'), ('memori_metadata_key_trigrams')) v (name),
  to_regclass(name) index WHERE index IS NOT NULL;
ALTER INDEX memori_metadata_search SET (gin_pending_list_limit = 64);
ALTER INDEX IF EXISTS memori_metadata_key_trigrams SET (gin_pending_list_limit = 64);
