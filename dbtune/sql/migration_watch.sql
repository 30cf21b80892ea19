-- What these sessions do, and who they wait for. Progress is there while an index is built (manual, 27.4.4).
SELECT a.pid,
       p.phase,
       p.blocks_done,
       p.blocks_total,
       p.tuples_done,
       p.tuples_total,
       p.index_relid,
       p.relid::pg_catalog.regclass::text AS relation,
       coalesce(a.wait_event = 'PgSleep', false) AS polls,
       pg_catalog.pg_blocking_pids(a.pid)
           || CASE WHEN p.current_locker_pid > 0 AND p.phase LIKE 'waiting%' THEN ARRAY[p.current_locker_pid::integer]
                   ELSE ARRAY[]::integer[] END AS blockers
FROM pg_catalog.pg_stat_activity AS a
LEFT JOIN pg_catalog.pg_stat_progress_create_index AS p ON p.pid = a.pid
WHERE a.pid = ANY (:pids)
ORDER BY p.phase IS NULL, a.pid
