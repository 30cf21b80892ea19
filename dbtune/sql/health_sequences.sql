/* dbtune */
-- Sequences and the integer columns that they fill, as owner (serial, identity) or by a default. PostgreSQL 13+.
-- last_value is NULL where it was never used, or where the role may not see it (readable tells). largest is the greatest
-- value that the sequence and each of the columns can hold, smallest the least; column is the narrowest one.
SELECT n.nspname::text AS schema, c.relname::text AS name, q.seqincrement AS increment, q.seqcycle AS cycles,
       pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE') AS readable,
       CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE')
            THEN pg_catalog.pg_sequence_last_value(c.oid) END AS last_value,
       q.seqstart AS start, u.column_name, u.type_name, u.of_table,
       least(q.seqmax, u.largest) AS largest, greatest(q.seqmin, -u.largest - 1) AS smallest,
       u.largest IS NOT NULL AND u.largest < q.seqmax AS column_is_narrower,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment
  FROM pg_catalog.pg_sequence AS q
  JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
      SELECT a.attname::text AS column_name, pg_catalog.format_type(a.atttypid, NULL) AS type_name,
             tn.nspname::text || '.' || t.relname::text AS of_table,
             CASE a.atttypid WHEN 'int2'::pg_catalog.regtype THEN 32767::int8
                             WHEN 'int4'::pg_catalog.regtype THEN 2147483647::int8 END AS largest
        FROM (SELECT d.refobjid AS relid, d.refobjsubid AS attnum
                FROM pg_catalog.pg_depend AS d
               WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0
                 AND d.deptype IN ('a', 'i')
              UNION
              SELECT f.adrelid, f.adnum
                FROM pg_catalog.pg_depend AS d
                JOIN pg_catalog.pg_attrdef AS f ON f.oid = d.objid
               WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid) AS used
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = used.relid AND a.attnum = used.attnum AND NOT a.attisdropped
        JOIN pg_catalog.pg_class AS t ON t.oid = a.attrelid
        JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
       ORDER BY largest NULLS LAST, t.relispartition, t.relname, a.attnum
       LIMIT 1) AS u ON true
 WHERE c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
