/* dbtune */
-- The server, this database and the role, one row. PostgreSQL 13+. stats_reset is NULL where the database's counters were
-- never reset (15+: also after a crash, which empties them); life is that of the archiver, which a crash resets too
-- and which no other server of the cluster shares. xids is the next transaction's id.
SELECT pg_catalog.current_setting('server_version_num')::int AS version_num, pg_catalog.clock_timestamp() AS at,
       pg_catalog.pg_postmaster_start_time() AS started, pg_catalog.current_database()::text AS database,
       (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) AS system_identifier,
       (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()) AS timeline,
       pg_catalog.pg_is_in_recovery() AS in_recovery, current_user::text AS role,
       pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS reads_stats,
       pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE') AS reads_settings,
       (SELECT stats_reset FROM pg_catalog.pg_stat_database
         WHERE datname = pg_catalog.current_database()) AS stats_reset,
       (SELECT stats_reset FROM pg_catalog.pg_stat_archiver) AS life,
       (SELECT stats_reset FROM pg_catalog.pg_stat_bgwriter) AS bgwriter_reset,
       pg_catalog.current_setting('block_size')::int AS block_size,
       pg_catalog.current_setting('track_counts')::bool AS track_counts,
       pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 AS xids
