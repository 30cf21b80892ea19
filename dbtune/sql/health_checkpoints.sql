/* dbtune */
-- Checkpoints since the reset: by the clock, and because something asked for one, mostly WAL that reached max_wal_size.
SELECT b.checkpoints_timed AS timed, b.checkpoints_req AS requested, b.stats_reset -- before 17
SELECT b.num_timed AS timed, b.num_requested AS requested, b.stats_reset -- 17+
  FROM pg_catalog.pg_stat_bgwriter AS b -- before 17
  FROM pg_catalog.pg_stat_checkpointer AS b -- 17+
