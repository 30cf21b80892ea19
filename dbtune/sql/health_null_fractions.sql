/* dbtune */
-- Of each whole index of one plain column, not of a constraint, the part of the rows where that is NULL, from pg_stats;
-- NULL where ANALYZE never looked or the role may not see it (readable tells). PostgreSQL 13+.
SELECT i.indexrelid::int8 AS oid, a.attname::text AS column_name,
       pg_catalog.has_column_privilege(i.indrelid, a.attnum, 'SELECT') AS readable, s.null_frac::float8 AS null_frac
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = i.indkey[0] AND NOT a.attnotnull
  LEFT JOIN pg_catalog.pg_stats AS s
    ON s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = a.attname AND NOT s.inherited
 WHERE i.indnkeyatts = 1 AND i.indpred IS NULL AND t.relkind IN ('r', 'm') AND t.relpersistence <> 't'
   AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = i.indexrelid)
