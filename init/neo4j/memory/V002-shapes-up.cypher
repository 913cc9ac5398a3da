// opsctl set "memory", schema v1.1.0: the version of the full-text index. Records say with which version they
// were indexed (m.index_version, none: 1) and hold the shapes of their lines (m.shape_tokens); the statistics
// node says the version of the oldest entry. `opsctl maintain neo4j --yes` makes older entries anew.

// Words by a part of them, for words that are misspelt; the index of the constraint finds beginnings only.
CREATE TEXT INDEX term_text IF NOT EXISTS FOR (t:Term) ON (t.w);

MATCH (s:Stat {id: 'memory'})
SET s.index_version = coalesce(s.index_version, CASE WHEN s.documents > 0 THEN 1 ELSE 2 END);
