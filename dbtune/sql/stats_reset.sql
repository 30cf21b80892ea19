/* dbtune */
-- When this database's counters were last reset; NULL if never.
SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()
