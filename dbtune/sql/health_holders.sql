/* dbtune */
-- Who keeps old row versions from being vacuumed in this database: sessions with a snapshot or a transaction,
-- transactions that were prepared and not ended, replication slots, standbys that send feedback. PostgreSQL 13+.
-- xids is how many transactions old what they hold is; seconds since when, where that is known.
SELECT 'session' AS kind, a.pid::text AS name, a.usename::text AS owner, a.application_name AS application, a.state,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 AS seconds,
       greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid)) AS xids
  FROM pg_catalog.pg_stat_activity AS a
 WHERE (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND a.pid <> pg_catalog.pg_backend_pid()
   AND a.datname = pg_catalog.current_database() AND a.backend_type NOT IN ('autovacuum worker', 'walsender')
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum AS v WHERE v.pid = a.pid)
UNION ALL
SELECT 'standby', a.pid::text, a.usename::text, a.application_name, r.state, NULL, pg_catalog.age(a.backend_xmin)
  FROM pg_catalog.pg_stat_activity AS a
  LEFT JOIN pg_catalog.pg_stat_replication AS r ON r.pid = a.pid
 WHERE a.backend_type = 'walsender' AND a.backend_xmin IS NOT NULL
UNION ALL
SELECT 'prepared', p.gid, p.owner::text, NULL, 'prepared',
       extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::float8, pg_catalog.age(p.transaction)
  FROM pg_catalog.pg_prepared_xacts AS p
 WHERE p.database = pg_catalog.current_database()
UNION ALL
SELECT 'slot', s.slot_name::text, NULL, s.plugin::text, CASE WHEN s.active THEN 'active' ELSE 'inactive' END,
       NULL, -- before 17
       extract(epoch FROM pg_catalog.clock_timestamp() - s.inactive_since)::float8, -- 17+
       greatest(pg_catalog.age(s.xmin), pg_catalog.age(s.catalog_xmin))
  FROM pg_catalog.pg_replication_slots AS s
 WHERE (s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL)
   AND (s.datoid IS NULL OR s.database = pg_catalog.current_database())
