-- opsctl set "memory": what it holds, and how many of its indexes can be used.

SELECT (SELECT documents FROM memori_statistics) AS records,
       (SELECT count(*) FROM memori_events) AS events,
       (SELECT count(*) FROM memori_agents) AS agents,
       (SELECT count(*) FROM memori_terms) AS terms,
       (SELECT count(*) FROM pg_index
         WHERE indisvalid
           AND indrelid IN (to_regclass('memori_metadata'), to_regclass('memori_events'), to_regclass('memori_agents'),
                            to_regclass('memori_terms'), to_regclass('memori_statistics'))) AS indexes;
