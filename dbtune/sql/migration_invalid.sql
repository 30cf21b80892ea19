-- Indexes that are not sound, that bear dbtune's mark, or that it set aside to drop. PostgreSQL 13+.
-- busy: a build, or a DROP or REINDEX CONCURRENTLY, is at work on it; missing: partitions without the index.
SELECT n.nspname AS schema, c.relname AS name, tn.nspname AS table_schema, t.relname AS table_name,
       c.relkind = 'I' AS partitioned, i.indisvalid AND i.indisready AND i.indislive AS sound,
       i.indisready AS ready, i.indislive AS live, i.indisunique AS is_unique,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))
       OR EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid) AS needed,
       EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
       OR EXISTS (
           SELECT FROM pg_catalog.pg_locks l
            WHERE l.granted AND l.mode = 'ShareUpdateExclusiveLock' AND l.locktype = 'relation'
              AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
              AND (l.relation = c.oid OR l.relation = i.indrelid AND l.pid IN (
                  SELECT p.pid FROM pg_catalog.pg_stat_progress_create_index p WHERE p.relid IS NULL))
       ) AS busy,
       ARRAY(
           SELECT pn.nspname || '.' || pc.relname FROM pg_catalog.pg_inherits h
             JOIN pg_catalog.pg_class pc ON pc.oid = h.inhrelid
             JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
            WHERE c.relkind = 'I' AND h.inhparent = i.indrelid AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_inherits x JOIN pg_catalog.pg_index xi ON xi.indexrelid = x.inhrelid
                 WHERE x.inhparent = c.oid AND xi.indrelid = pc.oid)
            ORDER BY 1
       )::text[] AS missing
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
 WHERE NOT (i.indisvalid AND i.indisready AND i.indislive)
    OR pg_catalog.obj_description(c.oid, 'pg_class') LIKE 'dbtune %'
    OR pg_catalog.starts_with(c.relname::text, 'dbtune_drop_')
 ORDER BY n.nspname, c.relname
