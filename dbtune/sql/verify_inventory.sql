-- What a database holds, one row an object. definition and comment say what it is, sound whether an index is valid,
-- ready and live (t and f, in this order), of_table the table that it belongs to; oid and file say whether it is the
-- same one as before. PostgreSQL 13 and later.
WITH own AS (
    SELECT oid, nspname FROM pg_catalog.pg_namespace
     WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
), member AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
)
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
                      WHEN 'm' THEN 'materialised view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table'
                      WHEN 'c' THEN 'type' WHEN 'i' THEN 'index' WHEN 'I' THEN 'partitioned index' END AS kind,
       own.nspname AS schema,
       c.relname AS name,
       c.oid,
       c.relfilenode AS file,
       CASE WHEN c.relkind IN ('i', 'I') THEN pg_catalog.pg_get_indexdef(c.oid)
            WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid)
            ELSE (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s %s %s %s %s', a.attname,
                             pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                             a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid)), ', ' ORDER BY a.attnum)
                    FROM pg_catalog.pg_attribute AS a
                    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
       END AS definition,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       CASE WHEN i.indexrelid IS NOT NULL
            THEN concat(left(i.indisvalid::text, 1), left(i.indisready::text, 1), left(i.indislive::text, 1)) END
           AS sound,
       COALESCE(i.indisunique, false) AS is_unique,
       EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
                WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')) AS is_needed,
       COALESCE(i.indrelid, CASE WHEN c.relkind IN ('r', 'p') THEN c.oid END) AS of_table
FROM pg_catalog.pg_class AS c
JOIN own ON own.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
WHERE (('pg_class'::pg_catalog.regclass, c.oid) NOT IN (SELECT classid, objid FROM member))
UNION ALL
SELECT 'constraint', own.nspname, c.relname || '.' || k.conname, k.oid, 0, pg_catalog.pg_get_constraintdef(k.oid),
       pg_catalog.obj_description(k.oid, 'pg_constraint'), CASE WHEN k.convalidated THEN 't' ELSE 'f' END,
       false, false, k.conrelid
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN own ON own.oid = c.relnamespace
UNION ALL
SELECT 'trigger', own.nspname, c.relname || '.' || t.tgname, t.oid, 0, pg_catalog.pg_get_triggerdef(t.oid),
       NULL, t.tgenabled::text, false, false, t.tgrelid
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN own ON own.oid = c.relnamespace
WHERE NOT t.tgisinternal
UNION ALL
SELECT 'function', own.nspname, p.oid::pg_catalog.regprocedure::text, p.oid, 0,
       CASE WHEN p.prokind IN ('f', 'p') THEN pg_catalog.pg_get_functiondef(p.oid) ELSE 'aggregate' END,
       pg_catalog.obj_description(p.oid, 'pg_proc'), NULL, false, false, NULL
FROM pg_catalog.pg_proc AS p
JOIN own ON own.oid = p.pronamespace
WHERE (('pg_proc'::pg_catalog.regclass, p.oid) NOT IN (SELECT classid, objid FROM member))
UNION ALL
SELECT CASE t.typtype WHEN 'e' THEN 'enum' ELSE 'domain' END, own.nspname, t.typname, t.oid, 0,
       CASE t.typtype WHEN 'e' THEN (SELECT pg_catalog.string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)
                                       FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid)
            ELSE pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
       pg_catalog.obj_description(t.oid, 'pg_type'), NULL, false, false, NULL
FROM pg_catalog.pg_type AS t
JOIN own ON own.oid = t.typnamespace
WHERE t.typtype IN ('d', 'e') AND (('pg_type'::pg_catalog.regclass, t.oid) NOT IN (SELECT classid, objid FROM member))
UNION ALL
SELECT 'schema', own.nspname, '', own.oid, 0, NULL, NULL, NULL, false, false, NULL
FROM own
UNION ALL
SELECT 'extension', 'pg_catalog', e.extname, e.oid, 0, e.extversion, NULL, NULL, false, false, NULL
FROM pg_catalog.pg_extension AS e
