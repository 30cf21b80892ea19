/* dbtune */
-- pg_stat_statements here: whether the extension is made, its version and schema, its limit of entries (NULL: the server
-- has not loaded it, or the role may not see it), and whether it is among the libraries to load (NULL: not to be seen).
SELECT e.extversion AS version, n.nspname::text AS schema,
       pg_catalog.current_setting('pg_stat_statements.max', true)::int AS most,
       (SELECT s.setting LIKE '%pg_stat_statements%' FROM pg_catalog.pg_settings AS s
         WHERE s.name = 'shared_preload_libraries') AS preloaded
  FROM (SELECT) AS one
  LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = 'pg_stat_statements'
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
