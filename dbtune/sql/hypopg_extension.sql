-- HypoPG where it is created in this database: its version and the schema of its functions. PostgreSQL 13+.
SELECT e.extversion, n.nspname
  FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'hypopg'
