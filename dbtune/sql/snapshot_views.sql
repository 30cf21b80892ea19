/* dbtune */
-- Views of the database's own, PostgreSQL 13+; their queries are read apart, by snapshot_view_queries.sql.
SELECT 'pg_class'::regclass::oid AS classid, c.oid AS objid, n.nspname::text AS schema, c.relname::text AS name,
       format('CREATE VIEW %I.%I%s AS', n.nspname, c.relname,
              ' WITH (' || array_to_string(c.reloptions, ', ') || ')') AS head
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind = 'v' AND c.relpersistence <> 't'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
