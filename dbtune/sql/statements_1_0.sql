/* dbtune */
-- pg_stat_statements up to 1.7 (came with PostgreSQL 12): one column for all time, in milliseconds.
SELECT userid, queryid, true AS toplevel, query, calls, total_time AS total_ms,
       NULL::timestamptz AS stats_since
  FROM /* schema */pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
