-- The server and what this role may do on it, one row, PostgreSQL 13+. Sizes in bytes; temp_file_limit NULL: none.
-- data_directory needs pg_read_all_settings. A client on the same machine has the addresses and port that it sees itself.
SELECT current_user AS role,
       pg_catalog.current_database() AS database,
       pg_catalog.pg_is_in_recovery() AS is_standby,
       pg_catalog.pg_backend_pid() AS pid,
       pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS sees_sessions,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY') AS may_make_temporary,
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) AS maintenance_work_mem,
       pg_catalog.current_setting('max_parallel_maintenance_workers')::integer AS parallel_workers,
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('min_parallel_table_scan_size')) AS parallel_from,
       (SELECT CASE WHEN setting::bigint >= 0 THEN setting::bigint * 1024 END
          FROM pg_catalog.pg_settings WHERE name = 'temp_file_limit') AS temp_file_limit,
       pg_catalog.current_setting('default_tablespace') AS default_tablespace,
       pg_catalog.current_setting('temp_tablespaces') AS temp_tablespaces,
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory') AS data_directory,
       host(pg_catalog.inet_server_addr()) AS server_address,
       host(pg_catalog.inet_client_addr()) AS client_address,
       pg_catalog.inet_client_port() AS client_port
