// opsctl set "memory", schema v1.1.0: takes shapes out of the index and forgets its version. Words stay.

// No word looks like a shape.
MATCH (t:Term) WHERE t.w STARTS WITH '__s_' CALL { WITH t DETACH DELETE t } IN TRANSACTIONS OF 10000 ROWS;

MATCH (m:Memory) WHERE m.index_version IS NOT NULL
CALL {
  WITH m
  SET m.tokens = CASE WHEN m.tokens IS NULL OR coalesce(m.shape_tokens, '') = '' THEN m.tokens
    ELSE trim(left(m.tokens, size(m.tokens) - size(m.shape_tokens))) END
  REMOVE m.shape_tokens, m.index_version
} IN TRANSACTIONS OF 1000 ROWS;

MATCH (s:Stat {id: 'memory'}) REMOVE s.index_version;

DROP INDEX term_text IF EXISTS;
