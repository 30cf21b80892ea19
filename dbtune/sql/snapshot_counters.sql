/* dbtune */
-- Counters of the tables in :oids since the last statistics reset, PostgreSQL 13+ (of partitioned tables from 14 on).
SELECT s.relid, s.n_tup_ins, s.n_tup_upd, s.n_tup_hot_upd, s.n_tup_del, s.seq_scan, s.seq_tup_read,
       coalesce(s.idx_scan, 0) AS idx_scan, s.n_live_tup, s.n_dead_tup, s.n_mod_since_analyze,
       greatest(s.last_analyze, s.last_autoanalyze) AS last_analyze
  FROM pg_stat_all_tables AS s
 WHERE s.relid = ANY (:oids)
