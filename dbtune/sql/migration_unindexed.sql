-- The partitions of a table, those nearer to it first, that have no valid index that is a part of the table's index yet:
-- schema, name, schema and name of the table that it is one of, and whether it has partitions itself.
SELECT n.nspname, c.relname, pn.nspname, p.relname, c.relkind = 'p'
  FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(:table)) t
  JOIN pg_catalog.pg_class c ON c.oid = t.relid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class p ON p.oid = t.parentrelid
  JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
 WHERE t.level > 0
   AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(:index)) AS part
         JOIN pg_catalog.pg_index AS i ON i.indexrelid = part.relid
        WHERE i.indrelid = t.relid AND i.indisvalid)
 ORDER BY t.level, n.nspname, c.relname
