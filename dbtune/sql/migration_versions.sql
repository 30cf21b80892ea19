-- The tables in which Alembic notes revisions, by their usual name, and whether they may be read. PostgreSQL 13+.
SELECT n.nspname AS schema, pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num' AND NOT a.attisdropped
 WHERE c.relname = 'alembic_version' AND c.relkind IN ('r', 'p', 'v')
   AND NOT pg_catalog.pg_is_other_temp_schema(n.oid)
 ORDER BY n.nspname
