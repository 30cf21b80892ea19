/* dbtune */
-- One row per database, PostgreSQL 14+: what was counted since stats_reset (NULL: never). Times are milliseconds.
-- A session adds its times when it is idle outside of a transaction, and when it ends. at is when the statistics
-- collector wrote what is read here; 15 has none, and tells now.
SELECT d.datname::text AS datname, coalesce(pg_catalog.pg_stat_get_snapshot_timestamp(), clock_timestamp()) AS at,
       d.stats_reset, d.xact_commit, d.xact_rollback, d.deadlocks, d.temp_files, d.temp_bytes,
       d.active_time, d.idle_in_transaction_time, d.session_time,
       d.sessions, d.sessions_abandoned, d.sessions_fatal, d.sessions_killed,
       d.datname = pg_catalog.current_database() AS is_own
  FROM pg_catalog.pg_stat_database AS d
 WHERE d.datname IS NOT NULL
