-- An index by its name, as the session's search_path has it; no row if there is none. PostgreSQL 13+.
-- definition is without ONLY; tablespace NULL is the database's; needed_by: a constraint, the replica identity or an
-- index that this one is a partition of.
SELECT tn.nspname AS schema, t.relname AS table_name, c.relkind AS kind,
       pg_catalog.replace(pg_catalog.pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS definition,
       s.spcname AS tablespace, pg_catalog.obj_description(i.indexrelid, 'pg_class') AS comment,
       CASE WHEN k.conname IS NOT NULL THEN 'constraint ' || k.conname
            WHEN i.indisreplident THEN 'the replica identity'
            WHEN h.inhparent IS NOT NULL THEN 'the partitioned index ' || h.inhparent::regclass::text END AS needed_by
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace
  LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = i.indexrelid
 WHERE i.indexrelid = pg_catalog.to_regclass(:name)
