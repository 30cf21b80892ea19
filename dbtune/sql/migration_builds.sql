-- The index builds that run in this database, and whom each waits for. PostgreSQL 13+.
-- Without pg_read_all_stats, what belongs to another role is NULL but for the pid.
SELECT p.pid, p.relid IS NOT NULL AS shown,
       tn.nspname AS table_schema, t.relname AS table_name, n.nspname AS index_schema, i.relname AS index_name,
       p.command, p.phase, p.lockers_total, p.lockers_done, p.current_locker_pid,
       p.blocks_total, p.blocks_done, p.tuples_total, p.tuples_done,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.query_start, a.xact_start))::float8 AS seconds,
       w.state, w.usename, w.application_name, w.query,
       EXTRACT(epoch FROM pg_catalog.clock_timestamp() - w.xact_start)::float8 AS open_seconds,
       ARRAY(SELECT x.gid FROM pg_catalog.pg_prepared_xacts x
              WHERE x.database = pg_catalog.current_database() ORDER BY x.prepared)::text[] AS prepared
  FROM pg_catalog.pg_stat_progress_create_index p
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = p.pid
  LEFT JOIN pg_catalog.pg_stat_activity w ON w.pid = p.current_locker_pid AND w.pid <> p.pid
  LEFT JOIN pg_catalog.pg_class t ON t.oid = p.relid
  LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_class i ON i.oid = p.index_relid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace
 WHERE p.datname = pg_catalog.current_database()
 ORDER BY p.pid
