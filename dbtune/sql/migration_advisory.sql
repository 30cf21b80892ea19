-- The sessions that hold the advisory lock of a key of 64 bits in this database.
SELECT pid
  FROM pg_catalog.pg_locks
 WHERE locktype = 'advisory' AND objsubid = 1 AND granted
   AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND (classid::bigint << 32) | objid::bigint = CAST(:key AS bigint)
 ORDER BY pid
