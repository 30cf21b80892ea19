/* dbtune */
-- Tables that belong to extensions, one row per extension with any, PostgreSQL 13+.
SELECT x.extname::text AS extension,
       array_agg(format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname) AS tables
  FROM pg_depend AS d
  JOIN pg_extension AS x ON x.oid = d.refobjid
  JOIN pg_class AS c ON c.oid = d.objid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname <> 'pg_catalog'
 GROUP BY x.extname
 ORDER BY x.extname
