/* dbtune */
-- One row per process of the server, PostgreSQL 13+; query_id came with 14. Times are seconds since then, by the
-- server's clock. backend_type, state and what follows are NULL where this role may not see them, usename is not.
SELECT a.pid, a.backend_type, a.datname::text AS datname, a.usename::text AS usename, a.application_name,
       pg_catalog.host(a.client_addr) AS client_addr, a.state, a.wait_event_type, a.wait_event,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start)::float8 AS backend_s,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::float8 AS xact_s,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start)::float8 AS query_s,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change)::float8 AS state_s,
       left(a.query, 1000) AS query,
       /* query_id */ NULL::int8 AS query_id,
       a.pid = pg_catalog.pg_backend_pid() AS is_own
  FROM pg_catalog.pg_stat_activity AS a
