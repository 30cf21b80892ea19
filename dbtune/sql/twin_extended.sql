-- Extended statistics by name. has_own_types: a column's values have OIDs of this database in them, which is so of enums,
-- rows, ranges and arrays of the database's own (OIDs from 16384 on), and of domains over those. PostgreSQL 13+.
WITH RECURSIVE named AS (
    SELECT s.oid, s.stxrelid, s.stxkeys
      FROM pg_catalog.pg_statistic_ext s
      JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
     WHERE n.nspname = :schema AND s.stxname = :name
), types AS (
    SELECT a.atttypid AS type
      FROM named
      JOIN pg_catalog.pg_attribute a ON a.attrelid = named.stxrelid AND a.attnum = ANY (named.stxkeys)
     UNION
    SELECT t.typbasetype
      FROM types
      JOIN pg_catalog.pg_type t ON t.oid = types.type
     WHERE t.typtype = 'd'
)
SELECT named.oid::int8 AS oid,
       EXISTS (SELECT FROM types JOIN pg_catalog.pg_type t ON t.oid = types.type
                WHERE t.oid >= 16384 AND (t.typtype IN ('e', 'c', 'r', 'm') OR t.typcategory = 'A')) AS has_own_types
  FROM named
