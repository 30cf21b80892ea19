-- The columns of every table that may have rows, in order. partition is the condition that rows of a partition fulfil,
-- NULL where a table is none; parents are the partitioned tables above it. PostgreSQL 13 and later.
SELECT c.oid AS "table",
       n.nspname AS schema,
       c.relname AS name,
       c.relkind AS kind,
       CASE WHEN c.relispartition THEN pg_catalog.pg_get_partition_constraintdef(c.oid) END AS partition,
       ARRAY(SELECT t.relid::oid::integer FROM pg_catalog.pg_partition_ancestors(c.oid) AS t
              WHERE t.relid <> c.oid) AS parents,
       a.attname AS "column",
       a.atttypid AS type,
       a.atttypmod AS typmod,
       a.attnotnull AS not_null,
       a.attgenerated <> '' OR a.attidentity <> '' OR COALESCE(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
           LIKE 'nextval(%' AS made_by_server
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY c.oid, a.attnum
