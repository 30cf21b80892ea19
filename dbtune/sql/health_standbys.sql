/* dbtune */
-- Whoever streams WAL from here but for base backups; physical are whole standbys. PostgreSQL 13+.
-- lag_bytes is the WAL that is not replayed there; replay_seconds NULL while nothing is written.
SELECT r.pid, r.application_name AS name, r.client_addr::text AS address, r.state, r.sync_state,
       NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS s
                    WHERE s.active_pid = r.pid AND s.slot_type = 'logical') AS physical,
       pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
                                       ELSE pg_catalog.pg_current_wal_lsn() END, r.replay_lsn)::int8 AS lag_bytes,
       extract(epoch FROM r.replay_lag)::float8 AS replay_seconds
  FROM pg_catalog.pg_stat_replication AS r
 WHERE r.state IS DISTINCT FROM 'backup'
