/* dbtune */
-- Columns of the tables in :oids, PostgreSQL 13+. Lengths in bytes, -1 for varying; attgenerated 'v' came with 18.
-- not_null leaves out constraints that were never validated (18+). readable: whether the role may SELECT the column.
SELECT a.attrelid, a.attname::text AS name, a.attnum AS number, format_type(a.atttypid, a.atttypmod) AS type,
       a.attlen AS length, a.attalign::text AS align, a.attbyval AS by_value, a.attstorage::text AS storage,
       CASE WHEN a.attcollation NOT IN (0, t.typcollation)
            THEN CASE WHEN ln.nspname = 'pg_catalog' THEN quote_ident(l.collname)
                      ELSE format('%I.%I', ln.nspname, l.collname) END
        END AS collation,
       a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint AS k
                                     WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
                                       AND a.attnum = ANY (k.conkey)) AS not_null,
       nullif(a.attgenerated::text, '') AS generated,
       pg_get_expr(d.adbin, d.adrelid) AS default,
       has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable
  FROM pg_attribute AS a
  JOIN pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
  LEFT JOIN pg_namespace AS ln ON ln.oid = l.collnamespace
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = ANY (:oids) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum
