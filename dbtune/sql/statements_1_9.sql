/* dbtune */
-- pg_stat_statements 1.9 (came with PostgreSQL 14): tells what a function sent from what a client sent.
SELECT userid, queryid, toplevel, query, calls, total_exec_time + total_plan_time AS total_ms,
       NULL::timestamptz AS stats_since
  FROM /* schema */pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
