-- opsctl set "vectors", schema v1.0.0: takes back what the set made. The extension vector stays: other schemas may use it.

DROP TABLE IF EXISTS memori_embeddings;
