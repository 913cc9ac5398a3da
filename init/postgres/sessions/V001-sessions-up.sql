-- opsctl set "sessions", schema v1.0.0, for PostgreSQL 13 and newer.
-- Completed sessions, moved here from Redis for good, and what is asked about them. Names are unqualified:
-- search_path decides. What a database has of this already (table, view, trigger of the same name) stays as it
-- is.

CREATE TABLE IF NOT EXISTS archived_sessions (
  id                       SERIAL PRIMARY KEY,
  session_id               VARCHAR NOT NULL UNIQUE,
  user_id                  VARCHAR,             -- NULL: not signed in
  created_at               TIMESTAMP,
  archived_at              TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  last_activity_at         TIMESTAMP,
  current_state            VARCHAR,             -- where the conversation ended
  language                 VARCHAR,
  status                   VARCHAR,
  conversation_history     JSONB,
  master_parameters        JSONB,
  response_json            JSONB,
  agent_logs               JSONB,
  finalized                BOOLEAN DEFAULT FALSE,
  message_count            INTEGER DEFAULT 0,
  product_selections_count INTEGER DEFAULT 0,
  session_duration_seconds INTEGER              -- the trigger computes it; NULL: unknown
);

-- The sessions of a user, latest first; sessions of a period; what was archived when.
CREATE INDEX IF NOT EXISTS archived_sessions_user ON archived_sessions (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS archived_sessions_created ON archived_sessions (created_at);
CREATE INDEX IF NOT EXISTS archived_sessions_archived ON archived_sessions (archived_at);

-- Containment: conversation_history @> '{"messages": [{"role": "user"}]}'. jsonb_path_ops, because it indexes
-- one hash of path and value where the default indexes every key and value by itself: smaller, and an entry
-- found is nearly always a match. What it cannot answer is whether a key exists (?, ?|, ?&); @>, @? and @@ can
-- ask for a path instead.
CREATE INDEX IF NOT EXISTS archived_sessions_conversation
  ON archived_sessions USING gin (conversation_history jsonb_path_ops);
CREATE INDEX IF NOT EXISTS archived_sessions_parameters
  ON archived_sessions USING gin (master_parameters jsonb_path_ops);
CREATE INDEX IF NOT EXISTS archived_sessions_response
  ON archived_sessions USING gin (response_json jsonb_path_ops);
CREATE INDEX IF NOT EXISTS archived_sessions_agent_logs
  ON archived_sessions USING gin (agent_logs jsonb_path_ops);

-- CREATE TRIGGER and CREATE VIEW have no IF NOT EXISTS.
DO $set$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_trigger
    WHERE tgrelid = to_regclass('archived_sessions') AND tgname = 'trigger_calculate_session_duration'
  ) THEN
    -- Whole seconds from the first to the last activity. Unknown stays NULL (one of the times is missing or infinite); clocks that
    -- disagree give 0, not less; what no INTEGER can hold gives the greatest one.
    CREATE OR REPLACE FUNCTION calculate_session_duration() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
      NEW.session_duration_seconds := CASE
        WHEN isfinite(NEW.created_at) AND isfinite(NEW.last_activity_at) THEN
          least(greatest(floor(extract(epoch FROM NEW.last_activity_at - NEW.created_at)), 0), 2147483647)
      END;
      RETURN NEW;
    END
    $body$;

    -- on every update, so that the column always agrees with the times beside it
    CREATE TRIGGER trigger_calculate_session_duration
      BEFORE INSERT OR UPDATE ON archived_sessions
      FOR EACH ROW EXECUTE FUNCTION calculate_session_duration();
  END IF;

  -- Aggregates over all sessions: always one row, averages NULL while there is nothing to average.
  IF to_regclass('session_summary_stats') IS NULL THEN
    CREATE VIEW session_summary_stats AS
    SELECT count(*) AS total_sessions,
           count(DISTINCT user_id) AS unique_users,
           count(*) FILTER (WHERE finalized) AS finalized_sessions,
           round(100.0 * count(*) FILTER (WHERE finalized) / nullif(count(*), 0), 1) AS finalized_percent,
           coalesce(sum(message_count), 0) AS total_messages,
           round(avg(message_count), 1) AS avg_messages,
           round(avg(product_selections_count), 1) AS avg_product_selections,
           round(avg(session_duration_seconds), 1) AS avg_duration_seconds,
           max(session_duration_seconds) AS max_duration_seconds,
           min(created_at) AS first_session_at,
           max(created_at) AS last_session_at,
           max(archived_at) AS last_archived_at
    FROM archived_sessions;
  END IF;

  -- One row for each user.
  IF to_regclass('user_session_history') IS NULL THEN
    CREATE VIEW user_session_history AS
    SELECT user_id,
           count(*) AS total_sessions,
           count(*) FILTER (WHERE finalized) AS finalized_sessions,
           coalesce(sum(message_count), 0) AS total_messages,
           coalesce(sum(product_selections_count), 0) AS total_product_selections,
           round(avg(session_duration_seconds), 1) AS avg_duration_seconds,
           coalesce(sum(session_duration_seconds), 0) AS total_duration_seconds,
           min(created_at) AS first_session_at,
           max(created_at) AS last_session_at,
           max(last_activity_at) AS last_activity_at
    FROM archived_sessions
    WHERE user_id IS NOT NULL
    GROUP BY user_id;
  END IF;
END
$set$;
