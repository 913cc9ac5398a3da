-- opsctl set "memory", schema v1.0.0: takes back what the set made, records included. The extension pg_trgm stays: other schemas
-- may use it. No CASCADE: a view of somebody else on these tables stops the file instead of going with them.

DROP TABLE IF EXISTS memori_statistics;
DROP TABLE IF EXISTS memori_terms;
DROP TABLE IF EXISTS memori_agents;
DROP TABLE IF EXISTS memori_events;
DROP TABLE IF EXISTS memori_metadata;
