-- opsctl set "memory": what it holds.

SELECT (SELECT documents FROM memori_statistics) AS records,
       (SELECT count(*) FROM memori_events) AS events,
       (SELECT count(*) FROM memori_agents) AS agents,
       (SELECT count(*) FROM memori_terms) AS terms,
       (SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name LIKE 'memori\_%' ESCAPE '\') AS indexes;
