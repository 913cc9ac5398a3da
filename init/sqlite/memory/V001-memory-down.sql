-- opsctl set "memory", schema v1.0.0: takes back what the set made, records included.

DROP TABLE IF EXISTS memori_statistics;
DROP TABLE IF EXISTS memori_terms;
DROP TABLE IF EXISTS memori_index;
DROP TABLE IF EXISTS memori_agents;
DROP TABLE IF EXISTS memori_events;
DROP TABLE IF EXISTS memori_metadata;
