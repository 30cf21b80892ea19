/* dbtune */
-- The server and the database, one row, PostgreSQL 13+. block_size in bytes; taken_at is the transaction's start.
-- Providers other than libc came with 15, the locale column changed its name in 17, its rules came with 16: hence JSON.
-- may_read_statistics: pg_statistic and pg_statistic_ext_data, which superusers and pg_read_all_data (14+) may read.
SELECT current_setting('server_version_num')::int AS server_version_num,
       current_setting('server_version') AS server_version,
       current_database()::text AS database,
       current_user::text AS role,
       transaction_timestamp() AS taken_at,
       pg_encoding_to_char(d.encoding)::text AS encoding,
       d.datcollate::text AS collate,
       d.datctype::text AS ctype,
       coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS locale_provider,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale,
       to_jsonb(d) ->> 'daticurules' AS icu_rules,
       current_setting('block_size')::int AS block_size,
       current_setting('track_counts')::bool AS track_counts,
       pg_is_in_recovery() AS standby,
       (SELECT s.stats_reset FROM pg_stat_database AS s WHERE s.datid = d.oid) AS since,
       has_table_privilege('pg_catalog.pg_statistic', 'SELECT')
           AND has_table_privilege('pg_catalog.pg_statistic_ext_data', 'SELECT') AS may_read_statistics
  FROM pg_database AS d
 WHERE d.datname = current_database()
