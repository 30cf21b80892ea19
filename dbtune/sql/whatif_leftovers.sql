-- Indexes that an earlier what-if on this copy made and did not come to remove, by the comment it gives them.
-- One row each: schema and name. PostgreSQL 13+.
SELECT n.nspname, c.relname
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('i', 'I')
   AND pg_catalog.obj_description(c.oid, 'pg_class') = :marker
 ORDER BY n.nspname, c.relname
