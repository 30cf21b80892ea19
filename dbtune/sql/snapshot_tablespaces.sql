/* dbtune */
-- Tablespaces with costs or concurrency of their own (ALTER TABLESPACE ... SET), PostgreSQL 13+.
SELECT t.spcname::text AS name, t.spcoptions::text[] AS options
  FROM pg_tablespace AS t
 WHERE t.spcoptions IS NOT NULL
 ORDER BY t.spcname
