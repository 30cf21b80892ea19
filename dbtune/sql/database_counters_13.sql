/* dbtune */
-- One row per database, PostgreSQL 13: what was counted since stats_reset (NULL: never). There are no session counters.
-- at is when the statistics collector wrote what is read here.
SELECT d.datname::text AS datname, coalesce(pg_catalog.pg_stat_get_snapshot_timestamp(), clock_timestamp()) AS at,
       d.stats_reset, d.xact_commit, d.xact_rollback, d.deadlocks, d.temp_files, d.temp_bytes,
       NULL::float8 AS active_time, NULL::float8 AS idle_in_transaction_time, NULL::float8 AS session_time,
       NULL::int8 AS sessions, NULL::int8 AS sessions_abandoned, NULL::int8 AS sessions_fatal,
       NULL::int8 AS sessions_killed, d.datname = pg_catalog.current_database() AS is_own
  FROM pg_catalog.pg_stat_database AS d
 WHERE d.datname IS NOT NULL
