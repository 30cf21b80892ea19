/* dbtune */
-- Extensions, PostgreSQL 13+, without their version: another server may have another one.
SELECT 'pg_extension'::regclass::oid AS classid, x.oid AS objid, 'extension' AS kind, n.nspname::text AS schema,
       x.extname::text AS name,
       format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %I', x.extname, n.nspname) AS definition
  FROM pg_extension AS x
  JOIN pg_namespace AS n ON n.oid = x.extnamespace
