/* dbtune */
-- pg_stat_statements 1.11 (came with PostgreSQL 17): tells since when each entry counts.
SELECT userid, queryid, toplevel, query, calls, total_exec_time + total_plan_time AS total_ms, stats_since
  FROM /* schema */pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
