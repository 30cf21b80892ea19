-- Sessions of this database whose snapshot is older than :seconds: a concurrent build waits for them at its end.
-- VACUUM's is none that it waits for; without pg_read_all_stats other roles' are not seen.
SELECT pid
  FROM pg_catalog.pg_stat_activity
 WHERE datname = pg_catalog.current_database() AND backend_xmin IS NOT NULL AND pid <> :pid
   AND pid <> pg_catalog.pg_backend_pid() AND usesysid IS NOT NULL
   AND pid NOT IN (SELECT v.pid FROM pg_catalog.pg_stat_progress_vacuum AS v)
   AND xact_start < pg_catalog.clock_timestamp() - :seconds * interval '1 s'
 ORDER BY xact_start, pid
