-- Replication slots and whether the WAL that they need is still kept (manual, pg_replication_slots). PostgreSQL 13+.
SELECT slot_name AS name, wal_status
  FROM pg_catalog.pg_replication_slots
 WHERE wal_status IN ('unreserved', 'lost')
 ORDER BY slot_name
