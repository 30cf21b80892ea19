-- Sessions of this database that keep a snapshot, and those in :pids, but for this one. PostgreSQL 13+.
-- Of another role's session without pg_read_all_stats only pid, role, application and snapshot are shown.
-- is_vacuum, is_waited_for: CREATE INDEX CONCURRENTLY does not wait for the snapshots of a VACUUM, from 14 on neither for
-- those of other concurrent builds whose index has no expression and no condition (GetCurrentVirtualXIDs).
SELECT a.pid, a.usename AS role, a.application_name AS application, a.client_addr::text AS address,
       a.backend_type, a.state,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 AS open_s,
       a.query, a.query IS DISTINCT FROM '<insufficient privilege>' AS is_shown,
       v.pid IS NOT NULL OR a.backend_type = 'autovacuum worker' AS is_vacuum,
       p.pid IS NOT NULL AS is_build,
       a.backend_xmin IS NOT NULL AND v.pid IS NULL AND a.backend_type IS DISTINCT FROM 'autovacuum worker'
       AND NOT (p.pid IS NOT NULL AND p.command LIKE '%CONCURRENTLY'
                AND pg_catalog.current_setting('server_version_num')::integer >= 140000
                AND EXISTS (SELECT FROM pg_catalog.pg_index AS i
                             WHERE i.indexrelid = p.index_relid AND i.indexprs IS NULL AND i.indpred IS NULL)
       ) AS is_waited_for
  FROM pg_catalog.pg_stat_activity AS a
  LEFT JOIN pg_catalog.pg_stat_progress_vacuum AS v ON v.pid = a.pid
  LEFT JOIN pg_catalog.pg_stat_progress_create_index AS p ON p.pid = a.pid
 WHERE a.pid <> pg_catalog.pg_backend_pid()
   AND (a.pid = ANY (:pids)
        OR a.datname = pg_catalog.current_database() AND a.backend_xmin IS NOT NULL
           AND a.backend_type IS DISTINCT FROM 'parallel worker')
 ORDER BY a.xact_start NULLS LAST, a.pid
