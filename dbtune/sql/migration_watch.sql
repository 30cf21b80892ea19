-- What these sessions do, and who they wait for. Progress is there while an index is built (manual, 27.4.4).
-- polls: a DO block of ours sleeps until it is its turn. block_size in bytes.
SELECT a.pid,
       p.phase,
       p.blocks_done,
       p.blocks_total,
       p.tuples_done,
       p.tuples_total,
       pg_catalog.current_setting('block_size')::int AS block_size,
       p.index_relid,
       CASE WHEN t.oid IS NOT NULL THEN pg_catalog.format('%I.%I', tn.nspname, t.relname) END AS relation,
       CASE WHEN i.oid IS NOT NULL THEN pg_catalog.format('%I.%I', n.nspname, i.relname) END AS index,
       CASE WHEN a.state = 'active' THEN a.query END AS query,
       coalesce(a.wait_event = 'PgSleep' AND a.query LIKE 'DO %', false) AS polls,
       pg_catalog.pg_blocking_pids(a.pid)
           || CASE WHEN p.current_locker_pid > 0 AND p.phase LIKE 'waiting%' THEN ARRAY[p.current_locker_pid::integer]
                   ELSE ARRAY[]::integer[] END AS blockers
  FROM pg_catalog.pg_stat_activity AS a
  LEFT JOIN pg_catalog.pg_stat_progress_create_index AS p ON p.pid = a.pid
  LEFT JOIN pg_catalog.pg_class AS t ON t.oid = p.relid
  LEFT JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_class AS i ON i.oid = p.index_relid
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = i.relnamespace
 WHERE a.pid = ANY (:pids)
 ORDER BY p.phase IS NULL, a.state IS DISTINCT FROM 'active', a.pid
