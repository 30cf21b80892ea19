/* dbtune */
-- Roles for which ALTER ROLE ... SET changes settings of the planner, in this database or everywhere, other than the one
-- that asks, PostgreSQL 13+. Names of settings only.
SELECT r.rolname::text AS role, array_agg(DISTINCT split_part(c.pair, '=', 1) ORDER BY split_part(c.pair, '=', 1)) AS names
  FROM pg_db_role_setting AS s
  JOIN pg_roles AS r ON r.oid = s.setrole
 CROSS JOIN LATERAL unnest(s.setconfig) AS c (pair)
 WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
   AND r.rolname <> current_user
   AND (split_part(c.pair, '=', 1) IN ('search_path', 'work_mem', 'hash_mem_multiplier', 'max_parallel_workers_per_gather')
        OR split_part(c.pair, '=', 1) IN (SELECT p.name FROM pg_settings AS p WHERE p.category LIKE 'Query Tuning%'))
 GROUP BY r.rolname
 ORDER BY r.rolname
