-- opsctl set "embeddings", schema v1.0.0, for PostgreSQL 13 and newer with pgvector 0.5 and newer.
-- Texts with their embeddings, for similarity search, and what was said in conversations. Names are
-- unqualified: search_path decides.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE IF NOT EXISTS embeddings (
  id         SERIAL PRIMARY KEY,
  content    TEXT,
  embedding  vector(768),
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- Nearest by cosine distance: ORDER BY embedding <=> $1 LIMIT 10. HNSW and not IVFFlat: IVFFlat sorts vectors
-- into lists around centroids that it computes once, from the rows that are there when the index is built. On an
-- empty table it computes them from nothing, and whatever comes later is searched in lists that mean nothing:
-- neighbours are missed until somebody builds the index again. HNSW has nothing to train and grows with every
-- row.
CREATE INDEX IF NOT EXISTS embeddings_embedding_cosine ON embeddings USING hnsw (embedding vector_cosine_ops);

CREATE TABLE IF NOT EXISTS conversation_history (
  id         BIGSERIAL PRIMARY KEY,             -- order of arrival: two messages may have the same time
  session_id VARCHAR NOT NULL,
  role       VARCHAR NOT NULL,                  -- user, assistant, system, tool: the application's words
  content    TEXT NOT NULL,
  metadata   JSONB NOT NULL DEFAULT '{}',
  created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- A conversation in order, or its last messages; messages of a period, over all conversations.
CREATE INDEX IF NOT EXISTS conversation_history_session ON conversation_history (session_id, created_at, id);
CREATE INDEX IF NOT EXISTS conversation_history_created ON conversation_history (created_at);
