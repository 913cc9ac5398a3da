-- opsctl set "embeddings": what it holds, and how many of its indexes can be used.

SELECT (SELECT count(*) FROM embeddings) AS embeddings,
       (SELECT count(*) FROM conversation_history) AS messages,
       (SELECT count(DISTINCT session_id) FROM conversation_history) AS conversations,
       (SELECT count(*) FROM pg_index
         WHERE indisvalid
           AND indrelid IN (to_regclass('embeddings'), to_regclass('conversation_history'))) AS indexes;
