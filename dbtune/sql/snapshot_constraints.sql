/* dbtune */
-- Constraints of the tables in :oids, PostgreSQL 13+: check, foreign key, primary key, unique, exclusion (contype c, f,
-- p, u, x); NOT NULL stands with the columns. inherited: it came from a parent, which makes it again.
SELECT k.conrelid, k.conname::text AS name, k.contype::text AS kind, pg_get_constraintdef(k.oid) AS definition,
       k.convalidated AS validated, k.conparentid <> 0 OR (k.coninhcount > 0 AND NOT k.conislocal) AS inherited,
       fn.nspname::text AS foreign_schema, f.relname::text AS foreign_table,
       ARRAY(SELECT a.attname::text
               FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, at)
               JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum
              ORDER BY u.at) AS columns,
       ARRAY(SELECT a.attname::text
               FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, at)
               JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum
              ORDER BY u.at) AS referenced_columns
  FROM pg_constraint AS k
  LEFT JOIN pg_class AS f ON f.oid = k.confrelid
  LEFT JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
 WHERE k.conrelid = ANY (:oids) AND k.contype IN ('c', 'f', 'p', 'u', 'x')
 ORDER BY k.conrelid, k.conname
