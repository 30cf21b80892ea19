-- Sessions, as a message names them.
SELECT pid,
       usename,
       application_name,
       state,
       extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)::float8 AS open_s,
       left(regexp_replace(query, '\s+', ' ', 'g'), 80) AS query
FROM pg_catalog.pg_stat_activity
WHERE pid = ANY (:pids)
ORDER BY xact_start NULLS LAST, pid
