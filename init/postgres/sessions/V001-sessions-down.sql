-- opsctl set "sessions", schema v1.0.0: takes back what the set made, archived sessions included. No CASCADE: what somebody else built
-- on it stops the file instead of going with it.

DROP VIEW IF EXISTS user_session_history;
DROP VIEW IF EXISTS session_summary_stats;
DROP TABLE IF EXISTS archived_sessions;
DROP FUNCTION IF EXISTS calculate_session_duration();
