-- Transactions that a concurrent build on the table would wait for as soon as it began: those that may have written to
-- it, and whoever holds the lock that the build itself takes. pid 0 is a prepared transaction. PostgreSQL 13+.
-- is_session: the lock outlives transactions, so only its pid tells its holder. Autovacuum is not among them, for it
-- gives way to a build, unless it prevents wraparound; its sessions have no role, and their query is shown to few.
SELECT DISTINCT coalesce(l.pid, 0) AS pid, l.virtualtransaction AS transaction,
       l.mode = 'ShareUpdateExclusiveLock' AS is_session
  FROM pg_catalog.pg_locks AS l
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.locktype = 'relation' AND l.relation = pg_catalog.to_regclass(:table) AND l.granted
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                  'ExclusiveLock', 'AccessExclusiveLock')
   AND l.pid IS DISTINCT FROM :pid
   AND (l.pid IS NULL OR a.usesysid IS NOT NULL OR a.query LIKE '%(to prevent wraparound)')
