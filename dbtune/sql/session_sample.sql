/* dbtune */
-- Client backends but this one, counted by who they are, what they do and what they wait for. PostgreSQL 13+.
-- old of them are in a transaction that began before the moment began; into hidden of them this role may not look, and
-- they have no state.
SELECT a.datname::text AS datname, a.usename::text AS usename, a.application_name,
       pg_catalog.host(a.client_addr) AS client_addr, a.state, a.wait_event_type, a.wait_event,
       array_agg(a.pid) AS pids, count(*) FILTER (WHERE a.xact_start < :began) AS old,
       count(*) FILTER (WHERE a.backend_type IS NULL) AS hidden
  FROM pg_catalog.pg_stat_activity AS a
 WHERE (a.backend_type = 'client backend' OR (a.backend_type IS NULL AND a.usename IS NOT NULL AND a.datname IS NOT NULL))
   AND a.pid <> pg_catalog.pg_backend_pid()
 GROUP BY 1, 2, 3, 4, 5, 6, 7
