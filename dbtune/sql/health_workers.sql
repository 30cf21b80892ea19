/* dbtune */
-- How many autovacuum workers run on the whole server, and how many may. Needs pg_read_all_stats. PostgreSQL 13+.
SELECT count(*) FILTER (WHERE a.backend_type = 'autovacuum worker') AS running,
       pg_catalog.current_setting('autovacuum_max_workers')::int AS allowed
  FROM pg_catalog.pg_stat_activity AS a
