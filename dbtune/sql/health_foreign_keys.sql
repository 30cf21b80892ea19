/* dbtune */
-- Foreign keys of the database's own tables. PostgreSQL 13+. table_* is the side that refers, parent_* the one that is
-- referred to; columns and parent_columns are attribute numbers, in step; above is the constraint of a partitioned
-- table that this one is a part of.
SELECT k.oid::int8 AS oid, k.conname::text AS name, k.conrelid::int8 AS table_oid, k.conkey::int2[] AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, at)
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
              ORDER BY u.at) AS column_names,
       k.confrelid::int8 AS parent_oid, nullif(k.conparentid::int8, 0) AS above,
       k.confdeltype::text AS on_delete, k.confupdtype::text AS on_update,
       pg_catalog.obj_description(k.oid, 'pg_constraint') AS comment
  FROM pg_catalog.pg_constraint AS k
  JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND c.relpersistence <> 't'
   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
