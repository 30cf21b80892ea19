-- What rows of a table have to fulfil. kind is c for a check, f for a foreign key, i for an index, u for one that is
-- unique; columns are those that it looks at; expression is a check's, or the condition of a partial index.
SELECT k.contype::text AS kind,
       k.conrelid AS "table",
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS n (number, place)
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = n.number
              ORDER BY n.place) AS columns,
       k.confrelid AS other,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS n (number, place)
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = n.number
              ORDER BY n.place) AS other_columns,
       pg_catalog.pg_get_expr(k.conbin, k.conrelid) AS expression
FROM pg_catalog.pg_constraint AS k
WHERE k.contype IN ('c', 'f') AND k.conrelid <> 0
UNION ALL
SELECT CASE WHEN i.indisunique THEN 'u' ELSE 'i' END,
       i.indrelid,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = i.indrelid AND a.attnum > 0
                AND (a.attnum = ANY ((i.indkey::smallint[])[0:i.indnkeyatts - 1])
                     OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                                 WHERE i.indexprs IS NOT NULL AND d.classid = 'pg_class'::pg_catalog.regclass
                                   AND d.objid = i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
              ORDER BY a.attnum),
       0,
       ARRAY[]::text[],
       pg_catalog.pg_get_expr(i.indpred, i.indrelid)
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
