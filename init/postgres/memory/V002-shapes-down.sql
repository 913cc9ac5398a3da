-- opsctl set "memory", schema v1.1.0: back to v1.0.0. Words stay as they are; shapes leave the index, first of all rows that hold some.

UPDATE memori_metadata
  SET search = ts_delete(search, string_to_array(shape_tokens, ' '))
  WHERE shape_tokens <> '' AND search IS NOT NULL;
DELETE FROM memori_terms WHERE starts_with(term, '__s_');

ALTER TABLE memori_statistics DROP COLUMN IF EXISTS index_version;
ALTER TABLE memori_metadata
  DROP COLUMN IF EXISTS index_version,
  DROP COLUMN IF EXISTS shape_tokens;

ALTER INDEX memori_metadata_search RESET (gin_pending_list_limit);
ALTER INDEX IF EXISTS memori_metadata_key_trigrams RESET (gin_pending_list_limit);
