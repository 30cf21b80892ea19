/* dbtune */
-- Parallel workers that plans of this database wanted, and those that they got. PostgreSQL 18+.
SELECT d.parallel_workers_to_launch AS wanted, d.parallel_workers_launched AS launched, d.stats_reset
  FROM pg_catalog.pg_stat_database AS d
 WHERE d.datname = pg_catalog.current_database()
