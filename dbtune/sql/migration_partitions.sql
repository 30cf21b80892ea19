-- The partitions below a partitioned table, those nearer to it first. kind as pg_class.relkind: r, p or f.
SELECT n.nspname AS schema, c.relname AS name, pn.nspname AS parent_schema, p.relname AS parent_name, c.relkind AS kind
  FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(:name)) t
  JOIN pg_catalog.pg_class c ON c.oid = t.relid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class p ON p.oid = t.parentrelid
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
 WHERE t.level > 0
 ORDER BY t.level, n.nspname, c.relname
