/* dbtune */
-- One row per table or materialised view named in :names ("schema.table"), PostgreSQL 13+. relpages of 8 kB and
-- reltuples as of the last VACUUM or ANALYZE (reltuples is -1 before the first from 14 on, 0 in 13).
-- indexes: name, method, key columns or expressions, uniqueness, validity, predicate; referenced_by: foreign keys to it.
SELECT n.nspname || '.' || c.relname AS name, c.relpages, c.reltuples,
       coalesce(s.n_live_tup, 0) AS n_live_tup, coalesce(s.n_mod_since_analyze, 0) AS n_mod_since_analyze,
       greatest(s.last_analyze, s.last_autoanalyze) AS last_analyze,
       coalesce((SELECT json_agg(json_build_object(
                            'name', x.relname, 'method', a.amname, 'is_unique', i.indisunique, 'is_valid', i.indisvalid,
                            'predicate', pg_get_expr(i.indpred, i.indrelid),
                            'columns', (SELECT json_agg(pg_get_indexdef(i.indexrelid, k, true) ORDER BY k)
                                          FROM generate_series(1, i.indnkeyatts) AS k))
                        ORDER BY x.relname)
                   FROM pg_index AS i
                   JOIN pg_class AS x ON x.oid = i.indexrelid
                   JOIN pg_am AS a ON a.oid = x.relam
                  WHERE i.indrelid = c.oid), '[]') AS indexes,
       coalesce((SELECT json_agg(json_build_object(
                            'table', f.conrelid::regclass::text,
                            'columns', (SELECT json_agg(t.attname ORDER BY u.ord)
                                          FROM unnest(f.conkey) WITH ORDINALITY AS u (attnum, ord)
                                          JOIN pg_attribute AS t ON t.attrelid = f.conrelid AND t.attnum = u.attnum))
                        ORDER BY f.conname)
                   FROM pg_constraint AS f
                  WHERE f.contype = 'f' AND f.confrelid = c.oid), '[]') AS referenced_by
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
 WHERE n.nspname || '.' || c.relname = ANY (:names)
