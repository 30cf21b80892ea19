-- Who holds or waits for a lock on the relations in :oids, or holds one of the advisory locks in :keys, but for this
-- session. PostgreSQL 13+. relation NULL: the advisory lock in key. A prepared transaction has no pid; the lock on
-- its own number tells which one it is.
SELECT l.pid, l.relation::oid::bigint AS relation, l.mode, l.granted,
       CASE WHEN l.locktype = 'advisory' THEN (l.classid::bigint << 32) | l.objid::bigint END AS key,
       x.gid, x.owner, EXTRACT(epoch FROM pg_catalog.clock_timestamp() - x.prepared)::float8 AS prepared_s
  FROM pg_catalog.pg_locks AS l
  JOIN pg_catalog.pg_database AS d ON d.oid = l.database AND d.datname = pg_catalog.current_database()
  LEFT JOIN pg_catalog.pg_locks AS t
         ON l.pid IS NULL AND t.pid IS NULL AND t.virtualtransaction = l.virtualtransaction
        AND t.locktype = 'transactionid'
  LEFT JOIN pg_catalog.pg_prepared_xacts AS x ON x.transaction = t.transactionid AND x.database = d.datname
 WHERE l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
   AND (l.locktype = 'relation' AND l.relation::bigint = ANY (:oids)
        OR l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
           AND (l.classid::bigint << 32) | l.objid::bigint = ANY (:keys))
 ORDER BY l.pid, x.gid, l.relation, l.mode
