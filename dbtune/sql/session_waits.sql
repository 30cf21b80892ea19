/* dbtune */
-- Who waits for a lock and for whom, PostgreSQL 13+; waitstart came with 14. relation is NULL for what is no relation
-- of this database. Blocker 0 is a prepared transaction.
SELECT l.pid, l.locktype, l.mode,
       (SELECT format('%I.%I', n.nspname, c.relname)
          FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.oid = l.relation
           AND l.database IN (0, (SELECT oid FROM pg_catalog.pg_database
                                   WHERE datname = pg_catalog.current_database()))) AS relation,
       extract(epoch FROM pg_catalog.clock_timestamp() - /* waitstart */ NULL::timestamptz)::float8 AS waited_s,
       pg_catalog.pg_blocking_pids(l.pid) AS blockers
  FROM pg_catalog.pg_locks AS l
 WHERE NOT l.granted
