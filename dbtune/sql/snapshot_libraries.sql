/* dbtune */
-- Libraries that the session has loaded by configuration, PostgreSQL 13+; NULL where the role may not know
-- (shared_preload_libraries needs pg_read_all_settings).
SELECT string_agg(nullif(s.setting, ''), ',' ORDER BY s.name) AS libraries
  FROM pg_settings AS s
 WHERE s.name IN ('shared_preload_libraries', 'session_preload_libraries', 'local_preload_libraries')
