/* dbtune */
-- pg_stat_statements 1.8 (came with PostgreSQL 13): times in milliseconds, those of planning apart and 0 unless
-- pg_stat_statements.track_planning is on.
SELECT userid, queryid, true AS toplevel, query, calls, total_exec_time + total_plan_time AS total_ms,
       NULL::timestamptz AS stats_since
  FROM /* schema */pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
