/* dbtune */
-- The extension's version, which decides its columns (an upgraded server may run an old one), its schema, the server's
-- time, and whether statements within functions are counted too (null where the server has not loaded the extension).
SELECT e.extversion, n.nspname, clock_timestamp() AS read_at,
       current_setting('pg_stat_statements.track', true) AS track
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'
