/* dbtune */
-- WAL written since the reset; fpi are images of whole pages, buffers_full writes because wal_buffers were full. 14+.
SELECT w.wal_bytes::int8 AS bytes, w.wal_fpi AS fpi, w.wal_buffers_full AS buffers_full, w.stats_reset
  FROM pg_catalog.pg_stat_wal AS w
