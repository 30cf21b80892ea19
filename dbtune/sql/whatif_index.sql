-- An index with those of partitions that belong to it, as a plan may name each of them: one row each, the index first.
-- pages: 8 kB pages of its file; that of a partitioned index has none. PostgreSQL 13+.
WITH RECURSIVE tree AS (
    SELECT c.oid, 0 AS depth
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = :schema AND c.relname = :name AND c.relkind IN ('i', 'I')
     UNION ALL
    SELECT i.inhrelid, tree.depth + 1
      FROM tree
      JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
)
SELECT tree.oid, n.nspname, c.relname,
       CASE WHEN c.relkind = 'i' THEN pg_catalog.pg_relation_size(c.oid) / 8192 ELSE 0 END AS pages
  FROM tree
  JOIN pg_catalog.pg_class c ON c.oid = tree.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY tree.depth, n.nspname, c.relname
