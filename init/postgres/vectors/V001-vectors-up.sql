-- opsctl set "vectors", schema v1.0.0, for PostgreSQL 13 and newer with pgvector.
-- Embeddings of records, any model, any number of dimensions. Independent of the set "memory": either may come
-- first.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE IF NOT EXISTS memori_embeddings (
  record_id  text COLLATE "C" NOT NULL,
  model      text COLLATE "C" NOT NULL,
  dimensions integer NOT NULL,
  embedding  vector NOT NULL,               -- no size: it belongs to the model
  created_at bigint NOT NULL,               -- ms since the epoch
  PRIMARY KEY (record_id, model),
  CHECK (vector_dims(embedding) = dimensions)
);
