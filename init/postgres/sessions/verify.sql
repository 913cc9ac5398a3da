-- opsctl set "sessions": what it holds, and how many of its indexes, views and triggers are in use.

SELECT (SELECT count(*) FROM archived_sessions) AS sessions,
       (SELECT count(DISTINCT user_id) FROM archived_sessions) AS users,
       (SELECT count(*) FROM pg_index
         WHERE indisvalid AND indrelid = to_regclass('archived_sessions')) AS indexes,
       (SELECT count(*) FROM pg_class
         WHERE relkind = 'v'
           AND oid IN (to_regclass('session_summary_stats'), to_regclass('user_session_history'))) AS views,
       (SELECT count(*) FROM pg_trigger
         WHERE tgrelid = to_regclass('archived_sessions') AND tgname = 'trigger_calculate_session_duration'
           AND tgenabled <> 'D') AS triggers;
