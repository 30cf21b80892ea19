/* dbtune */
-- Scans of each index by oid on one server of a cluster, since that server's reset. PostgreSQL 13+.
SELECT s.indexrelid::int8 AS oid, coalesce(s.idx_scan, 0) AS idx_scan,
       NULL::timestamptz AS last_idx_scan -- before 16
       s.last_idx_scan -- 16+
  FROM pg_catalog.pg_stat_user_indexes AS s
