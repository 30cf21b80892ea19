/* dbtune */
-- One row per index, partitioned ones too, of the tables of the database's own. PostgreSQL 13+. Counts since the
-- statistics' reset; size in bytes, from relpages where somebody holds or awaits the lock that would make us wait.
-- columns are attribute numbers (0: an expression), keys come first, INCLUDE's after them; expressions and predicate
-- are the parser's trees without the places in the text, to be compared only. referenced: foreign keys need it.
WITH locked AS MATERIALIZED (
    SELECT l.relation FROM pg_catalog.pg_locks AS l
     WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
)
SELECT i.indexrelid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, i.indrelid::int8 AS table_oid,
       c.relkind::text AS kind, m.amname::text AS method, i.indnkeyatts AS n_keys, i.indkey::int2[] AS columns,
       i.indclass::oid[]::int8[] AS opclasses, i.indcollation::oid[]::int8[] AS collations,
       i.indoption::int2[] AS options,
       pg_catalog.regexp_replace(i.indexprs::text, ' :(location|stmt_location|stmt_len) -?[0-9]+', '', 'g')
           AS expressions,
       pg_catalog.regexp_replace(i.indpred::text, ' :(location|stmt_location|stmt_len) -?[0-9]+', '', 'g')
           AS predicate,
       false AS nulls_not_distinct, -- before 15
       i.indnullsnotdistinct AS nulls_not_distinct, -- 15+
       pg_catalog.pg_get_indexdef(i.indexrelid) AS definition, i.indisunique AS is_unique,
       i.indisprimary AS is_primary, i.indisexclusion AS is_exclusion, i.indimmediate AS is_immediate,
       i.indisreplident AS is_replica_identity, i.indisclustered AS is_clustered,
       i.indisvalid AND i.indisready AND i.indislive AS is_valid, k.conname::text AS constraint_name,
       EXISTS (SELECT FROM pg_catalog.pg_constraint AS f
                WHERE f.conindid = i.indexrelid AND f.contype = 'f') AS referenced,
       h.inhparent::int8 AS parent_oid,
       CASE WHEN c.relkind = 'I' THEN 0
            WHEN i.indexrelid IN (SELECT relation FROM locked) OR i.indrelid IN (SELECT relation FROM locked)
            THEN c.relpages * pg_catalog.current_setting('block_size')::int8
            ELSE pg_catalog.pg_relation_size(i.indexrelid) END AS size_bytes,
       c.reltuples::float8 AS reltuples,
       coalesce(s.idx_scan, 0) AS idx_scan, coalesce(s.idx_tup_read, 0) AS idx_tup_read,
       NULL::timestamptz AS last_idx_scan, -- before 16
       s.last_idx_scan, -- 16+
       EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid IN (c.oid, i.indrelid)
                  AND d.deptype = 'e') AS of_extension,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
  LEFT JOIN pg_catalog.pg_constraint AS k
    ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_catalog.pg_inherits AS h ON h.inhrelid = i.indexrelid
  LEFT JOIN pg_catalog.pg_stat_user_indexes AS s ON s.indexrelid = i.indexrelid
 WHERE t.relkind IN ('r', 'p', 'm') AND t.relpersistence <> 't'
   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
