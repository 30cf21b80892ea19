/* dbtune */
-- The statements of this database that wrote most to temporary files since pg_stat_statements was reset, in 8 kB blocks.
SELECT s.queryid, s.query, s.calls, s.temp_blks_written AS blocks
  FROM /* schema */pg_stat_statements AS s
 WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND s.temp_blks_written > 0
 ORDER BY s.temp_blks_written DESC, s.queryid
 LIMIT 3
