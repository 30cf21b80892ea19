/* dbtune */
-- pg_stat_statements 1.8 (came with PostgreSQL 13): times in milliseconds, those of planning apart.
SELECT userid, queryid, true AS toplevel, query, calls, total_exec_time, NULL::timestamptz AS stats_since
  FROM /* schema */pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
