-- Extended statistics by name, and the greatest OID of the types of their columns: from 16384 on the database's own.
-- PostgreSQL 13+.
SELECT s.oid::int8 AS oid,
       (SELECT coalesce(max(a.atttypid::int8), 0) FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys)) AS greatest_type
  FROM pg_catalog.pg_statistic_ext s
  JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
 WHERE n.nspname = :schema AND s.stxname = :name
