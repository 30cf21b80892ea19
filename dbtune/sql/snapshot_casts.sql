/* dbtune */
-- Casts of the database's own, PostgreSQL 13+: OIDs from 16384 on are users' (transam.h). Those of a range to its
-- multirange come with the type. Contexts: e explicit, a assignment, i implicit; methods: f function, i input/output.
SELECT 'pg_cast'::regclass::oid AS classid, c.oid AS objid, 'cast' AS kind, NULL::text AS schema,
       format('%s AS %s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)) AS name,
       format('CREATE CAST (%s AS %s) %s%s', format_type(c.castsource, NULL), format_type(c.casttarget, NULL),
              CASE c.castmethod WHEN 'f' THEN format('WITH FUNCTION %s', c.castfunc::regprocedure)
                                WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
              CASE c.castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' ELSE '' END) AS definition
  FROM pg_cast AS c
 WHERE c.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_cast'::regclass AND e.objid = c.oid AND e.deptype IN ('e', 'i'))
