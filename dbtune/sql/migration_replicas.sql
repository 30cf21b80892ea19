-- The standbys and subscribers that this server sends WAL to, and how far behind each is. PostgreSQL 13+.
-- Without pg_read_all_stats all but pid and application_name is NULL. bytes: flushed here and not replayed there (what
-- is only written is not sent yet); of one that replays nothing (pg_receivewal), not flushed there.
-- seconds: replay_lag is as old as the last reply, which a standby sends when it has news, so the time since then counts
-- too while anything is missing. is_cut: all that is missing is a record of which the end was not flushed here: WAL is
-- flushed page by page where nobody commits, and half a record cannot be replayed.
SELECT s.pid, s.application_name AS name, coalesce(s.client_addr::text, s.client_hostname) AS address,
       s.state, s.sync_state, d.bytes::bigint AS bytes,
       CASE WHEN d.bytes <= 0 OR d.is_cut THEN 0
            WHEN s.replay_lag IS NOT NULL OR s.reply_time IS NOT NULL
            THEN extract(epoch FROM coalesce(s.replay_lag, '0')
                                    + greatest('0', pg_catalog.clock_timestamp() - s.reply_time))
        END::float8 AS seconds
  FROM pg_catalog.pg_stat_replication AS s
 CROSS JOIN (
       SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                   ELSE pg_catalog.pg_current_wal_flush_lsn() END) AS here (lsn)
 CROSS JOIN LATERAL (
       SELECT b.bytes, b.bytes < 16384 AND s.flush_lsn = here.lsn
                       AND mod(pg_catalog.pg_wal_lsn_diff(here.lsn, '0/0'), 8192) = 0 AS is_cut
         FROM pg_catalog.pg_wal_lsn_diff(
                  here.lsn, coalesce(s.replay_lsn, s.flush_lsn, s.write_lsn, s.sent_lsn)) AS b (bytes)) AS d
 WHERE s.state IS DISTINCT FROM 'backup'
 ORDER BY s.application_name, s.pid
