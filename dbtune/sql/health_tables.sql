/* dbtune */
-- One row per table, partitioned table and materialised view of the database's own. PostgreSQL 13+. Counts since the
-- statistics' reset; sizes in bytes, from relpages where somebody holds or awaits the lock that would make us wait.
-- xid_age and mxid_age are the older of the table's and its TOAST table's.
WITH locked AS MATERIALIZED (
    SELECT l.relation FROM pg_catalog.pg_locks AS l
     WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
)
SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.relpersistence::text AS persistence, c.relpages, c.reltuples::float8 AS reltuples,
       coalesce(c.reloptions, '{}') AS options, h.inhparent::int8 AS parent_oid,
       CASE WHEN c.relkind = 'p' THEN 0
            WHEN c.oid IN (SELECT relation FROM locked)
            THEN c.relpages * pg_catalog.current_setting('block_size')::int8
            ELSE pg_catalog.pg_relation_size(c.oid) END AS size_bytes,
       coalesce(s.seq_scan, 0) AS seq_scan, coalesce(s.seq_tup_read, 0) AS seq_tup_read,
       coalesce(s.idx_scan, 0) AS idx_scan, coalesce(s.n_tup_ins, 0) AS n_tup_ins,
       coalesce(s.n_tup_upd, 0) AS n_tup_upd, coalesce(s.n_tup_del, 0) AS n_tup_del,
       coalesce(s.n_tup_hot_upd, 0) AS n_tup_hot_upd,
       NULL::int8 AS n_tup_newpage_upd, -- before 16
       s.n_tup_newpage_upd, -- 16+
       coalesce(s.n_live_tup, 0) AS n_live_tup, coalesce(s.n_dead_tup, 0) AS n_dead_tup,
       coalesce(s.n_mod_since_analyze, 0) AS n_mod_since_analyze,
       greatest(s.last_vacuum, s.last_autovacuum) AS last_vacuum,
       greatest(s.last_analyze, s.last_autoanalyze) AS last_analyze,
       coalesce(io.heap_blks_read, 0) AS heap_blks_read, coalesce(io.heap_blks_hit, 0) AS heap_blks_hit,
       coalesce(io.idx_blks_read, 0) AS idx_blks_read, coalesce(io.idx_blks_hit, 0) AS idx_blks_hit,
       CASE WHEN c.relkind <> 'p' THEN greatest(pg_catalog.age(c.relfrozenxid), pg_catalog.age(t.relfrozenxid)) END
           AS xid_age,
       CASE WHEN c.relkind <> 'p' THEN greatest(pg_catalog.mxid_age(c.relminmxid), pg_catalog.mxid_age(t.relminmxid))
           END AS mxid_age,
       EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
           AS of_extension,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid
  LEFT JOIN pg_catalog.pg_inherits AS h ON h.inhrelid = c.oid AND c.relispartition
  LEFT JOIN pg_catalog.pg_stat_user_tables AS s ON s.relid = c.oid
  LEFT JOIN pg_catalog.pg_statio_user_tables AS io ON io.relid = c.oid
 WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
