-- Columns of the twin's tables with what pg_statistic needs to know of them. PostgreSQL 13+.
SELECT a.attrelid::int8 AS relation, a.attname, a.attnum, a.atttypid::int8 AS type, a.attcollation::int8 AS collation
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
