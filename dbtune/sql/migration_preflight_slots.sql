-- Replication slots and the WAL that each keeps, PostgreSQL 13+. safe_wal_size, in bytes, is how much more WAL may be
-- written before the slot is in danger to be lost; NULL where max_slot_wal_keep_size sets no limit.
SELECT s.slot_name AS name, s.slot_type AS type, s.active, s.wal_status, s.safe_wal_size::bigint AS safe_bytes,
       pg_catalog.pg_wal_lsn_diff(
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
                ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn)::bigint AS kept_bytes
  FROM pg_catalog.pg_replication_slots AS s
 WHERE NOT s.temporary
 ORDER BY s.slot_name
