/* dbtune */
-- One row per user table and materialised view, PostgreSQL 13+. Counts since the last statistics reset;
-- size in bytes; relpages of 8 kB as of the last VACUUM or ANALYZE. last_seq_scan came with 16.
SELECT s.schemaname, s.relname, s.seq_scan, s.seq_tup_read, coalesce(s.idx_scan, 0) AS idx_scan, s.n_live_tup,
       c.relpages, pg_relation_size(s.relid) AS size_bytes,
       /* last_seq_scan */ NULL::timestamptz AS last_seq_scan
  FROM pg_stat_user_tables AS s JOIN pg_class AS c ON c.oid = s.relid
