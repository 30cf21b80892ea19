/* dbtune */
-- Schemas of the database's own, PostgreSQL 13+; public is there in any new database.
SELECT 'pg_namespace'::regclass::oid AS classid, n.oid AS objid, 'schema' AS kind, NULL::text AS schema,
       n.nspname::text AS name, format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname) AS definition
  FROM pg_namespace AS n
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid AND e.deptype = 'e')
