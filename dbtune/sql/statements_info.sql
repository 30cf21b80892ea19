/* dbtune */
-- pg_stat_statements 1.9 (came with PostgreSQL 14): evictions since the reset, and when that was.
SELECT dealloc, stats_reset FROM /* schema */pg_stat_statements_info
