/* dbtune */
-- pg_stat_statements 1.8+ (came with PostgreSQL 13): the statements of this database that took most time, in ms, those
-- of dbtune left out. total_ms is of all together, entries of the whole server, hidden of those of other roles.
SELECT s.queryid::text AS queryid, s.userid::int8 AS userid, s.query, s.calls, s.rows,
       s.total_exec_time + s.total_plan_time AS total_ms, s.mean_exec_time AS mean_ms, s.stddev_exec_time AS stddev_ms
  FROM /* schema */pg_stat_statements AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND s.queryid IS NOT NULL AND s.query NOT LIKE '/* dbtune */%'
   AND s.toplevel -- 14+
 ORDER BY s.total_exec_time + s.total_plan_time DESC
 LIMIT :most
