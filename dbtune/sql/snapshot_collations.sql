/* dbtune */
-- Collations of the database's own, PostgreSQL 13+. ICU locales stand in collcollate up to 14, in colliculocale in 15
-- and 16, in colllocale from 17 on; rules came with 16: hence JSON.
SELECT 'pg_collation'::regclass::oid AS classid, c.oid AS objid, 'collation' AS kind, n.nspname::text AS schema,
       c.collname::text AS name,
       format('CREATE COLLATION %I.%I (PROVIDER = %s, ', n.nspname, c.collname,
              CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END)
       || CASE WHEN c.collprovider = 'c' THEN format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype)
               ELSE format('LOCALE = %L', coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale',
                                                   to_jsonb(c) ->> 'collcollate')) END
       || CASE WHEN c.collisdeterministic THEN '' ELSE ', DETERMINISTIC = false' END
       || coalesce(', RULES = ' || quote_literal(to_jsonb(c) ->> 'collicurules'), '')
       || ')' AS definition
  FROM pg_collation AS c
  JOIN pg_namespace AS n ON n.oid = c.collnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_collation'::regclass AND e.objid = c.oid AND e.deptype = 'e')
