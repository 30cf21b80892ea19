/* dbtune */
-- Indexes of the tables in :oids, PostgreSQL 13+, but for those that dbtune made to ask what if (by their comment).
-- pieces: key columns or expressions, then INCLUDE's; names: the plain columns among them. idx_scan counts since the
-- last statistics reset; last_idx_scan came with 16. unreadable: expressions whose statistics the role may not see.
SELECT i.indrelid, i.indexrelid, n.nspname::text AS schema, c.relname::text AS name,
       pg_get_indexdef(i.indexrelid) AS definition, m.amname::text AS method, i.indnkeyatts AS keys,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, g.at, true)
               FROM generate_series(1, i.indnatts) AS g (at)
              ORDER BY g.at) AS pieces,
       ARRAY(SELECT a.attname::text
               FROM unnest(i.indkey) WITH ORDINALITY AS u (attnum, at)
               LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.attnum AND u.attnum > 0
              ORDER BY u.at) AS names,
       ARRAY(SELECT a.attname::text
               FROM pg_attribute AS a
              WHERE a.attrelid = i.indexrelid AND a.attnum > 0
              ORDER BY a.attnum) AS own_names,
       ARRAY(SELECT o.opcname::text
               FROM unnest(i.indclass) WITH ORDINALITY AS u (oid, at)
               JOIN pg_opclass AS o ON o.oid = u.oid
              ORDER BY u.at) AS opclasses,
       i.indoption::int2[] AS options, pg_get_expr(i.indpred, i.indrelid) AS predicate,
       c.relpages, c.reltuples, i.indisunique AS is_unique, i.indisprimary AS is_primary, i.indisvalid AS is_valid,
       i.indisreplident AS is_replica_identity, k.contype::text AS constraint, k.conname::text AS constraint_name,
       pn.nspname::text AS parent_schema, p.relname::text AS parent_name,
       s.idx_scan, /* last_idx_scan */ NULL::timestamptz AS last_idx_scan,
       i.indexprs IS NOT NULL AND NOT has_table_privilege(i.indexrelid, 'SELECT') AS unreadable
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_am AS m ON m.oid = c.relam
  LEFT JOIN pg_constraint AS k ON k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_inherits AS h ON h.inhrelid = c.oid
  LEFT JOIN pg_class AS p ON p.oid = h.inhparent
  LEFT JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
  LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = c.oid
 WHERE i.indrelid = ANY (:oids)
   AND obj_description(c.oid, 'pg_class') IS DISTINCT FROM :marker
 ORDER BY i.indrelid, c.relname
