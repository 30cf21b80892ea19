/* dbtune */
-- The server, this database and what this role may see, one row. PostgreSQL 13+.
SELECT pg_catalog.current_setting('server_version') AS version, pg_catalog.clock_timestamp() AS at,
       pg_catalog.pg_postmaster_start_time() AS started, pg_catalog.pg_is_in_recovery() AS in_recovery,
       pg_catalog.current_database()::text AS database, current_user::text AS role,
       pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS reads_stats
