/* dbtune */
-- The extension's version, which decides its columns (an upgraded server may run an old one), and its schema.
SELECT e.extversion, n.nspname
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'
