/* dbtune */
-- VACUUM at work in this database; shown is false where the role may not see it. PostgreSQL 13+.
SELECT v.pid, v.relid IS NOT NULL AS shown, n.nspname::text AS schema, c.relname::text AS name, v.phase,
       v.index_vacuum_count
  FROM pg_catalog.pg_stat_progress_vacuum AS v
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = v.relid
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE v.datname = pg_catalog.current_database()
