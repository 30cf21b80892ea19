/* dbtune */
-- Functions and window functions of the database's own, PostgreSQL 13+, but for triggers' and those that come with a
-- type (constructors of ranges). The body of one may name what does not exist yet: check_function_bodies = off.
SELECT 'pg_proc'::regclass::oid AS classid, p.oid AS objid, 'function' AS kind, n.nspname::text AS schema,
       format('%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
       pg_get_functiondef(p.oid) AS definition
  FROM pg_proc AS p
  JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND p.prokind IN ('f', 'w')
   AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype IN ('e', 'i'))
