-- Indexes by name, each with those of partitions that belong to it, the index first. PostgreSQL 13+.
WITH RECURSIVE tree AS (
    SELECT c.relname AS root, c.oid, 0 AS depth
      FROM pg_catalog.pg_class c
     WHERE c.relname = ANY (CAST(:names AS name[])) AND c.relkind IN ('i', 'I')
     UNION ALL
    SELECT tree.root, i.inhrelid, tree.depth + 1
      FROM tree
      JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
)
SELECT tree.root, c.oid::int8 AS oid, n.nspname, c.relname, c.relkind::text AS relkind, c.relfilenode::int8 AS node,
       i.indrelid::int8 AS heap, m.amname
  FROM tree
  JOIN pg_catalog.pg_class c ON c.oid = tree.oid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
  LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam
 ORDER BY tree.depth, n.nspname, c.relname
