/* dbtune */
-- All entries of pg_stat_statements 1.8+: how many there are on the server, how many the role may not read, and the time
-- of those of this database, in ms.
SELECT count(*) AS entries, count(*) FILTER (WHERE s.queryid IS NULL) AS hidden,
       coalesce(sum(s.total_exec_time + s.total_plan_time) FILTER (
           WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
             AND s.toplevel -- 14+
       ), 0) AS total_ms
  FROM /* schema */pg_stat_statements(false) AS s
