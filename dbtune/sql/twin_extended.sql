-- Extended statistics by name. types are those of their columns in order; own are those of them whose values have OIDs of
-- this database in them, which is so of enums, rows, ranges and arrays of the database's own (OIDs from 16384 on), and of
-- domains over those. PostgreSQL 13+.
WITH RECURSIVE named AS (
    SELECT s.oid, s.stxrelid, s.stxkeys
      FROM pg_catalog.pg_statistic_ext s
      JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
     WHERE n.nspname = :schema AND s.stxname = :name
), columns AS (
    SELECT k.place, a.atttypid AS type
      FROM named
     CROSS JOIN LATERAL pg_catalog.unnest(named.stxkeys) WITH ORDINALITY AS k (number, place)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = named.stxrelid AND a.attnum = k.number
), based AS (
    SELECT c.type AS base FROM columns c
     UNION
    SELECT t.typbasetype FROM based b JOIN pg_catalog.pg_type t ON t.oid = b.base WHERE t.typtype = 'd'
)
SELECT named.oid::int8 AS oid,
       ARRAY(SELECT c.type::int8 FROM columns c ORDER BY c.place) AS types,
       ARRAY(SELECT pg_catalog.format_type(t.oid, NULL)
               FROM based b
               JOIN pg_catalog.pg_type t ON t.oid = b.base
              WHERE t.oid >= 16384 AND (t.typtype IN ('e', 'c', 'r', 'm') OR t.typcategory = 'A')
              ORDER BY 1) AS own
  FROM named
