/* dbtune */
-- Settings that decide on plans, as SHOW prints them in this session, PostgreSQL 13+: all of the categories
-- "Query Tuning / ...", those of other categories that the planner or the reading of constants looks at, and
-- search_path. force_parallel_mode is called debug_parallel_query from 16 on.
SELECT s.name, current_setting(s.name) AS value
  FROM pg_settings AS s
 WHERE s.category LIKE 'Query Tuning%'
    OR s.name IN ('work_mem', 'hash_mem_multiplier', 'max_parallel_workers', 'max_parallel_workers_per_gather',
                  'max_worker_processes', 'parallel_leader_participation', 'effective_io_concurrency',
                  'maintenance_io_concurrency', 'dynamic_shared_memory_type', 'force_parallel_mode',
                  'debug_parallel_query', 'transform_null_equals', 'row_security', 'default_text_search_config',
                  'TimeZone', 'DateStyle', 'IntervalStyle', 'search_path')
 ORDER BY s.name
