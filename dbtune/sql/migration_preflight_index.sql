-- What bears an index's name, whatever it is, in :schema, or as the session's search_path has it where that is NULL; no
-- row if nothing does. PostgreSQL 13+. All but oid, schema and kind is NULL where it is no index. definition is without ONLY; needed_by: a constraint, or an index that this one is a partition of.
-- builder: the process that builds it now; where builds are not shown to this role, one that holds the table's lock.
SELECT c.oid, cn.nspname AS schema, c.relkind::text AS kind, i.indrelid AS table_oid, tn.nspname AS table_schema, t.relname AS table_name,
       pg_catalog.pg_get_userbyid(t.relowner) AS owner, pg_catalog.pg_has_role(t.relowner, 'USAGE') AS is_owner,
       i.indisvalid AND i.indisready AND i.indislive AS is_sound,
       pg_catalog.replace(pg_catalog.pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS definition,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       CASE WHEN k.conname IS NOT NULL THEN 'constraint ' || k.conname
            WHEN h.inhparent IS NOT NULL THEN 'the partitioned index ' || h.inhparent::regclass::text END AS needed_by,
       b.pid AS builder
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
  LEFT JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  LEFT JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_catalog.pg_inherits AS h ON h.inhrelid = c.oid
  LEFT JOIN LATERAL (
       SELECT p.pid FROM pg_catalog.pg_stat_progress_create_index AS p
        WHERE p.index_relid = c.oid
           OR p.relid IS NULL AND NOT i.indisvalid AND EXISTS (
              SELECT FROM pg_catalog.pg_locks AS l
               WHERE l.pid = p.pid AND l.granted AND l.locktype = 'relation' AND l.relation = i.indrelid
                 AND l.mode = 'ShareUpdateExclusiveLock' AND l.database = (
                     SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
        LIMIT 1) AS b ON true
 WHERE c.relname = :name
   AND CASE WHEN CAST(:schema AS text) IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE cn.nspname = CAST(:schema AS text) END
