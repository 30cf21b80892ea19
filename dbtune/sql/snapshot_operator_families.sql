/* dbtune */
-- Operator families of the database's own, PostgreSQL 13+.
SELECT 'pg_opfamily'::regclass::oid AS classid, f.oid AS objid, 'operator family' AS kind, n.nspname::text AS schema,
       f.opfname::text AS name,
       format('CREATE OPERATOR FAMILY %I.%I USING %I', n.nspname, f.opfname, m.amname) AS definition
  FROM pg_opfamily AS f
  JOIN pg_namespace AS n ON n.oid = f.opfnamespace
  JOIN pg_am AS m ON m.oid = f.opfmethod
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_opfamily'::regclass AND e.objid = f.oid AND e.deptype = 'e')
