-- Sessions, as a message names them, those first whose transaction is oldest.
SELECT pid,
       usename,
       application_name,
       state,
       extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)::float8 AS open_s,
       query
  FROM pg_catalog.pg_stat_activity
 WHERE pid = ANY (:pids)
 ORDER BY xact_start NULLS LAST, pid
