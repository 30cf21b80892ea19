/* dbtune */
-- Types of the database's own, PostgreSQL 13+: enum, domain, composite and range types (typtype e, d, c, r), and base
-- types (b), whose definition is NULL: they need a library. Canonical functions of ranges are left out, because the
-- function needs the type. Names of multirange types came with 14.
SELECT 'pg_type'::regclass::oid AS classid, t.oid AS objid, 'type' AS kind, n.nspname::text AS schema,
       t.typname::text AS name, t.typtype::text AS typtype,
       r.rngcanonical IS NOT NULL AND r.rngcanonical <> 0 AS is_canonical,
       CASE t.typtype
       WHEN 'e' THEN
            format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
                   (SELECT string_agg(quote_literal(l.enumlabel), ', ' ORDER BY l.enumsortorder)
                      FROM pg_enum AS l
                     WHERE l.enumtypid = t.oid))
       WHEN 'd' THEN
            format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod))
            || CASE WHEN t.typcollation NOT IN (0, b.typcollation)
                    THEN format(' COLLATE %I.%I', cn.nspname, c.collname) ELSE '' END
            || coalesce(' DEFAULT ' || pg_get_expr(t.typdefaultbin, 'pg_type'::regclass), '')
            || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
            || coalesce((SELECT string_agg(format(' CONSTRAINT %I %s', k.conname,
                                                  regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')),
                                           '' ORDER BY k.conname)
                           FROM pg_constraint AS k
                          WHERE k.contypid = t.oid AND k.contype = 'c'), '')
       WHEN 'c' THEN
            format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname,
                   (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
                                      || CASE WHEN a.attcollation NOT IN (0, y.typcollation)
                                              THEN format(' COLLATE %I.%I', ln.nspname, l.collname) ELSE '' END,
                                      ', ' ORDER BY a.attnum)
                      FROM pg_attribute AS a
                      JOIN pg_type AS y ON y.oid = a.atttypid
                      LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
                      LEFT JOIN pg_namespace AS ln ON ln.oid = l.collnamespace
                     WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
       WHEN 'r' THEN
            format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS = %I.%I', n.nspname, t.typname,
                   format_type(r.rngsubtype, NULL), kn.nspname, k.opcname)
            || CASE WHEN r.rngcollation <> 0 THEN format(', COLLATION = %I.%I', rn.nspname, rc.collname) ELSE '' END
            || CASE WHEN r.rngsubdiff::oid <> 0 THEN format(', SUBTYPE_DIFF = %s', r.rngsubdiff) ELSE '' END
            || coalesce((SELECT format(', MULTIRANGE_TYPE_NAME = %I.%I', n.nspname, m.typname)
                           FROM pg_type AS m
                          WHERE m.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid), '')
            || ')'
        END AS definition
  FROM pg_type AS t
  JOIN pg_namespace AS n ON n.oid = t.typnamespace
  LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
  LEFT JOIN pg_collation AS c ON c.oid = t.typcollation
  LEFT JOIN pg_namespace AS cn ON cn.oid = c.collnamespace
  LEFT JOIN pg_class AS o ON o.oid = t.typrelid
  LEFT JOIN pg_range AS r ON r.rngtypid = t.oid
  LEFT JOIN pg_opclass AS k ON k.oid = r.rngsubopc
  LEFT JOIN pg_namespace AS kn ON kn.oid = k.opcnamespace
  LEFT JOIN pg_collation AS rc ON rc.oid = r.rngcollation
  LEFT JOIN pg_namespace AS rn ON rn.oid = rc.collnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND t.typtype IN ('e', 'd', 'c', 'r', 'b')
   AND (t.typtype <> 'c' OR o.relkind = 'c')
   AND (t.typtype <> 'b' OR (t.typelem = 0 OR t.typlen <> -1))
   AND t.typisdefined
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
   AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid = t.typrelid AND e.deptype = 'e')
