-- opsctl set "embeddings", schema v1.0.0: takes back what the set made, texts and conversations included. The extension vector stays:
-- other schemas may use it.

DROP TABLE IF EXISTS conversation_history;
DROP TABLE IF EXISTS embeddings;
