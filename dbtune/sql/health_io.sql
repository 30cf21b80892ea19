/* dbtune */
-- What client backends did to shared buffers in the usual way, in blocks. PostgreSQL 16+.
SELECT sum(i.reads)::int8 AS reads, sum(i.evictions)::int8 AS evictions, sum(i.writes)::int8 AS writes,
       sum(i.hits)::int8 AS hits, min(i.stats_reset) AS stats_reset
  FROM pg_catalog.pg_stat_io AS i
 WHERE i.backend_type = 'client backend' AND i.context = 'normal' AND i.object = 'relation'
