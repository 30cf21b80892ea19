/* dbtune */
-- The bytes that a btree would need with its leaves filled up to its fillfactor; pgstatindex reads all of it. 13+.
SELECT (s.leaf_pages * least(1, s.avg_leaf_density / :fillfactor) + s.internal_pages + 1)
       * pg_catalog.current_setting('block_size')::int8
  FROM /* schema */pgstatindex((:oid)::pg_catalog.oid::pg_catalog.regclass) AS s
 WHERE s.leaf_pages > 0
