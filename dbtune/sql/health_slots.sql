/* dbtune */
-- Replication slots; retained_bytes is the WAL that is kept for one. PostgreSQL 13+.
SELECT s.slot_name::text AS name, s.slot_type AS kind, s.active, s.temporary, s.wal_status,
       s.safe_wal_size AS safe_bytes,
       pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                                       ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn)::int8 AS retained_bytes,
       NULL::float8 AS inactive_seconds, NULL::text AS invalidation_reason -- before 17
       extract(epoch FROM pg_catalog.clock_timestamp() - s.inactive_since)::float8 AS inactive_seconds, -- 17+
       s.invalidation_reason -- 17+
  FROM pg_catalog.pg_replication_slots AS s
