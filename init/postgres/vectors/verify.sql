-- opsctl set "vectors": what it holds, and how many of its indexes can be used.

SELECT (SELECT count(*) FROM memori_embeddings) AS embeddings,
       (SELECT count(*) FROM pg_index WHERE indisvalid AND indrelid = to_regclass('memori_embeddings')) AS indexes;
